"""What the target registry has is not built again: it is left there, or pulled."""

from __future__ import annotations

import docker

from conftest import PROJECT, Answer, run_build_py
from registry import Registry

CELL = "sglang-942-rocm7.2.0"
BUILD = ("--arch", "942", "--base", "7.2.0", "--rehearse")
LOG = PROJECT / "build" / "logs" / f"{CELL}.log"


def immutable(answer: Answer, client: docker.DockerClient) -> str:
    """The immutable reference of the cell's image on the engine."""
    image = client.images.get(answer.summary[CELL]["image_id"])
    build_id = image.labels["rocm-serving-images.build-id"]
    return next(tag for tag in image.tags if tag.endswith(f"-{build_id[:12]}"))


def put(client: docker.DockerClient, registry: Registry, reference: str, image_id: str) -> None:
    """Push an image to the registry by that name of it, and leave no tag of the registry."""
    client.images.get(image_id).tag(f"{registry.address}/{reference}")
    client.images.push(f"{registry.address}/{reference}")
    client.images.remove(f"{registry.address}/{reference}")


def test_what_the_registry_has_is_left_there_or_pulled_and_never_built(
    rolling: Answer, client: docker.DockerClient, registry: Registry
) -> None:
    image_id = rolling.summary[CELL]["image_id"]
    reference = immutable(rolling, client)
    put(client, registry, reference, image_id)
    LOG.unlink(missing_ok=True)
    client.images.remove(image_id, force=True)

    asked = len(registry.requests())
    left = run_build_py(*BUILD, "--registry", registry.address)
    assert (left.code, left.summary[CELL]["result"]) == (0, "in the registry"), left.stderr
    assert len(registry.requests()) == asked + 1
    plan = run_build_py(
        "plan", "--arch", "942", "--base", "7.2.0", "--rehearse", "--registry", registry.address
    )
    assert "in the registry (sha256:" in plan.stdout

    pulled = run_build_py(*BUILD, "--registry", registry.address, "--pull-existing")
    assert (pulled.code, pulled.summary[CELL]["result"]) == (0, "pulled"), pulled.stderr
    assert pulled.summary[CELL]["image_id"] == image_id
    assert pulled.summary[CELL]["evidence"]["passed"]
    assert reference in client.images.get(image_id).tags
    assert not LOG.exists()


def test_what_the_registry_lacks_is_built(rolling: Answer, registry: Registry) -> None:
    built = run_build_py(*BUILD, "--no-smoke", "--force", "--registry", registry.address)
    assert (built.code, built.summary[CELL]["result"]) == (0, "done"), built.stderr


def test_an_image_under_anothers_immutable_tag_is_refused_after_its_pull(
    rolling: Answer, client: docker.DockerClient, registry: Registry
) -> None:
    image_id = rolling.summary[CELL]["image_id"]
    other = rolling.summary["sglang-942-rocm7.2.2"]["image_id"]
    put(client, registry, immutable(rolling, client), other)
    client.images.remove(image_id, force=True)
    refused = run_build_py(*BUILD, "--registry", registry.address, "--pull-existing")
    assert refused.code == 1
    assert "someone moved an immutable tag" in refused.stderr
    # Leaves the engine as the other tests expect it.
    assert run_build_py(*BUILD).code == 0


def test_a_registry_that_does_not_answer_ends_the_run_with_a_sentence(registry: Registry) -> None:
    plan = ("plan", "--arch", "942", "--registry")
    refused = run_build_py(*plan, f"https://{registry.address}")
    assert refused.code == 9
    assert "write http:// before a registry without TLS" in refused.stderr
    assert run_build_py(*plan, "not a registry").code == 2
