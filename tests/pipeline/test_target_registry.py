"""What the target registry has is not built again: it is left there, or pulled."""

from __future__ import annotations

import docker

from conftest import PROJECT, Answer, Keys, is_on, run_build_py
from publishing_site import publish
from registry import Registry
from rocm_images.references import tag_of
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository

CELL = "sglang-942-rocm7.2.0"
CHOSEN = ("--arch", "942", "--base", "7.2.0")
BUILD = (*CHOSEN, "--rehearse")
LOG = PROJECT / "build" / "logs" / f"{CELL}.log"


def immutable(answer: Answer, client: docker.DockerClient) -> str:
    """The immutable reference of the cell's image on the engine."""
    image = client.images.get(answer.summary[CELL]["image_id"])
    build_id = image.labels["rocm-serving-images.build-id"]
    return next(tag for tag in image.tags if tag.endswith(f"-{build_id[:12]}"))


def put(client: docker.DockerClient, registry: Registry, reference: str, image_id: str) -> None:
    """Push an image to the registry by that name, unsigned, and leave no tag of the registry."""
    client.images.get(image_id).tag(f"{registry.address}/{reference}")
    client.images.push(f"{registry.address}/{reference}")
    client.images.remove(f"{registry.address}/{reference}")


def trusting(keys: Keys, registry: Registry) -> tuple[str, ...]:
    return ("--registry", registry.address, "--key", str(keys.our_public))


def test_what_the_registry_has_is_left_there_or_pulled_and_never_built(
    rolling: Answer, client: docker.DockerClient, registry: Registry, keys: Keys
) -> None:
    image_id = rolling.summary[CELL]["image_id"]
    reference = immutable(rolling, client)
    assert publish(keys, registry.address, *CHOSEN, verb="push").code == 0
    LOG.unlink(missing_ok=True)
    client.images.remove(image_id, force=True)

    there = trusting(keys, registry)
    left = run_build_py(*BUILD, *there, environment=keys.environment)
    assert (left.code, left.summary[CELL]["result"]) == (0, "in the registry"), left.stderr
    plan = run_build_py("plan", *BUILD, *there, environment=keys.environment)
    assert "in the registry (sha256:" in plan.stdout
    # Whose signatures count was not said.
    unsaid = run_build_py("plan", *BUILD, *there[:2])
    assert "in the registry, not verified (sha256:" in unsaid.stdout
    assert run_build_py(*BUILD, *there[:2]).code == 2

    pulled = run_build_py(*BUILD, *there, "--pull-existing", environment=keys.environment)
    assert (pulled.code, pulled.summary[CELL]["result"]) == (0, "pulled"), pulled.stderr
    assert pulled.summary[CELL]["image_id"] == image_id
    assert pulled.summary[CELL]["evidence"]["passed"]
    assert reference in client.images.get(image_id).tags
    assert not LOG.exists()


def test_what_the_registry_lacks_is_built(rolling: Answer, registry: Registry, keys: Keys) -> None:
    words = (*BUILD, "--no-smoke", "--force", *trusting(keys, registry))
    built = run_build_py(*words, environment=keys.environment)
    assert (built.code, built.summary[CELL]["result"]) == (0, "done"), built.stderr


def test_what_nobody_signed_is_not_pulled_and_not_counted_as_there(
    rolling: Answer, client: docker.DockerClient, registry: Registry, keys: Keys
) -> None:
    # The genuine image, so label and tag agree: whoever can push can put any label on any image.
    image_id = rolling.summary[CELL]["image_id"]
    put(client, registry, immutable(rolling, client), image_id)
    client.images.remove(image_id, force=True)
    try:
        for more in ((), ("--pull-existing",)):
            words = (*BUILD, *trusting(keys, registry), *more)
            refused = run_build_py(*words, environment=keys.environment)
            assert refused.code == 10, refused.stderr
            assert "has no signature" in refused.stderr
            assert refused.summary[CELL]["result"] == "not verified"
        assert not is_on(client, image_id)
        plan = run_build_py("plan", *BUILD, *trusting(keys, registry), environment=keys.environment)
        assert "not to be trusted" in plan.stdout
    finally:
        # Leaves the engine as the other tests expect it.
        assert run_build_py(*BUILD, "--no-smoke").code == 0


def test_an_image_under_anothers_immutable_tag_is_refused_before_its_pull(
    rolling: Answer, client: docker.DockerClient, registry: Registry, keys: Keys
) -> None:
    assert (
        publish(keys, registry.address, "--arch", "942", "--base", "7.2.2", verb="push").code == 0
    )
    repository = Repository(RegistryAddress.parse(registry.address), "sglang-rocm")
    other = repository.manifest(rolling.summary["sglang-942-rocm7.2.2"]["image_id"])
    assert other is not None
    repository.put_tag(tag_of(immutable(rolling, client)), other)
    image_id = rolling.summary[CELL]["image_id"]
    client.images.remove(image_id, force=True)
    try:
        words = (*BUILD, *trusting(keys, registry), "--pull-existing")
        refused = run_build_py(*words, environment=keys.environment)
        assert refused.code == 10
        assert "someone moved an immutable tag" in refused.stderr
    finally:
        assert run_build_py(*BUILD, "--no-smoke").code == 0


def test_a_registry_that_does_not_answer_ends_the_run_with_a_sentence(registry: Registry) -> None:
    plan = ("plan", "--arch", "942", "--registry")
    refused = run_build_py(*plan, f"https://{registry.address}")
    assert refused.code == 9
    assert "write http:// before a registry without TLS" in refused.stderr
    assert run_build_py(*plan, "not a registry").code == 2
