"""Only what a registry lacks gets a job, wherever that runs; build steps are kept there too."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest

from conftest import PROJECT, Answer, Keys, run_build_py
from publishing_site import publish
from registry import Registry
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository

MISSING = "sglang-950-rocm7.2.0"
PLANNED = PROJECT / "build" / "ci-matrix.json"


@pytest.fixture(scope="module")
def pushed(
    rehearsed: Answer,
    keys: Keys,
    registry_program: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Registry:
    """A registry with every rehearsed image but one, as `push` puts it there; it has stopped."""
    with Registry(registry_program, tmp_path_factory.mktemp("pushed") / "registry") as there:
        for words in (("--arch", "942"), ("--arch", "950", "--base", "7.2.2")):
            assert publish(keys, there.address, *words, verb="push").code == 0
    return there


@pytest.fixture
def three_of_four(pushed: Registry, registry: Registry) -> Mapping[str, str]:
    """The test's registry has what was pushed; tags by cell."""
    registry.take(pushed)
    plan = json.loads(run_build_py("plan", "--rehearse", "--json").stdout)
    return {cell["cell"]: f"{cell['repository']}:{cell['immutable_tag']}" for cell in plan}


def missing(keys: Keys, registry: Registry, *words: str, **environment: str) -> Answer:
    return run_build_py(
        *("ci-matrix", "--rehearse", "--channel", "preview", "--missing-from", registry.address),
        *("--key", str(keys.our_public), *words),
        environment={**keys.environment, **environment},
    )


def test_a_registry_with_three_of_four_images_is_to_get_exactly_the_fourth(
    three_of_four: Mapping[str, str], registry: Registry, keys: Keys
) -> None:
    answer = missing(keys, registry)
    assert answer.code == 0, answer.stderr
    (entry,) = json.loads(answer.stdout)["include"]
    assert entry["cell"] == MISSING
    assert three_of_four[MISSING].endswith(f":{entry['tag']}")
    skipped = json.loads(PLANNED.read_text())["skipped"]
    assert sorted(one["cell"] for one in skipped) == sorted({*three_of_four} - {MISSING})
    for one in skipped:
        assert one["why"].startswith(f"in {registry.address}: sha256:")
        assert f"skipped {one['cell']}: {one['why']}" in answer.stderr
    page = run_build_py("summary", str(PLANNED)).stdout
    assert "no cell was worked on, 3 skipped" in page


def test_a_registry_that_has_every_image_gets_an_empty_matrix(
    three_of_four: Mapping[str, str], registry: Registry, keys: Keys, tmp_path: Path
) -> None:
    outputs = tmp_path / "outputs"
    answer = missing(keys, registry, "--base", "7.2.2", GITHUB_OUTPUT=str(outputs))
    assert json.loads(answer.stdout) == {"include": []}
    assert outputs.read_text().splitlines() == ['matrix={"include":[]}', "count=0"]


def test_images_that_would_not_be_published_get_a_job(
    three_of_four: Mapping[str, str], registry: Registry, keys: Keys
) -> None:
    answer = missing(keys, registry, "--base", "7.2.2", "--channel", "stable")
    assert len(json.loads(answer.stdout)["include"]) == 2
    assert "the channel stable requires evidence of level gpu" in answer.stdout
    stranger = missing(keys, registry, "--base", "7.2.2", "--key", str(keys.others_public))
    assert len(json.loads(stranger.stdout)["include"]) == 2
    assert "is signed, but not by the key" in stranger.stdout


def test_a_registry_that_does_not_answer_is_no_empty_one(registry: Registry, keys: Keys) -> None:
    answer = run_build_py(
        *("ci-matrix", "--missing-from", f"https://{registry.address}"),
        *("--key", str(keys.our_public)),
        environment=keys.environment,
    )
    assert answer.code == 9
    assert answer.stdout == ""


def test_only_what_an_input_of_changed_since_a_commit_gets_a_job(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "checkout"
    subprocess.run(["git", "clone", "--quiet", PROJECT, folder], check=True)
    build_py = [*(str(PROJECT / ".venv/bin/python"), "build.py", "ci-matrix")]
    # Its own matrix, which git knows.
    environment = {k: v for k, v in os.environ.items() if k != "ROCM_IMAGES_MATRIX"}

    def cells(*arguments: str) -> list[str]:
        done = subprocess.run(
            [*build_py, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return [entry["cell"] for entry in json.loads(done.stdout)["include"]]

    assert cells("--changed-since", "HEAD") == []
    # A document is no input of any image; the name of a base is one of every image on it.
    (folder / "README.md").write_text("changed")
    assert cells("--changed-since", "HEAD") == []
    matrix = folder / "matrix.yaml"
    text = matrix.read_text()
    assert text.count("rocm/pytorch:rocm7.2.2_") == 1
    matrix.write_text(text.replace("rocm/pytorch:rocm7.2.2_", "rocm/pytorch:rocm7.2.2-next_"))
    assert cells("--changed-since", "HEAD") == ["sglang-942-rocm7.2.2", "sglang-950-rocm7.2.2"]
    assert cells("--changed-since", "HEAD", "--arch", "950") == ["sglang-950-rocm7.2.2"]


def test_build_steps_are_kept_signed_and_found_by_the_bases_other_cells(
    rolling: Answer, registry: Registry, keys: Keys
) -> None:
    cache = f"{registry.address}/team/cache"
    build = ("--rehearse", "--no-smoke", "--force", "--base", "7.2.0", "--cache", cache)
    log = PROJECT / "build" / "logs" / "sglang-950-rocm7.2.0.log"

    def built(arch: str, key: Path) -> Answer:
        option = "--key" if key.suffix == ".pub" else "--sign-key"
        done = run_build_py(*build, "--arch", arch, option, str(key), environment=keys.environment)
        assert done.code == 0, done.stderr
        return done

    built("942", keys.ours)
    with urllib.request.urlopen(f"http://{cache.replace('/', '/v2/', 1)}/tags/list") as answer:
        tags = json.load(answer)["tags"]
    assert [tag for tag in tags if not tag.startswith("sha256-")] == ["sglang-942-rocm7.2.0"]
    repository = Repository(RegistryAddress.parse(f"{registry.address}/team"), "cache")
    digest = repository.digest_of("sglang-942-rocm7.2.0")

    # Who verifies alone takes it, by its digest, and leaves none.
    before = len(registry.uploads())
    built("950", keys.our_public)
    assert f"importing cache manifest from {cache}@{digest}" in log.read_text()
    assert len(registry.uploads()) == before

    # What somebody else signed, or put there in its place, is not taken.
    stranger = built("950", keys.others_public)
    assert "the build cache of sglang-942-rocm7.2.0 is not used" in stranger.stderr
    registry.push("team/cache", "sglang-942-rocm7.2.0", {"a": "foreign layer"})
    foreign = built("950", keys.our_public)
    assert "has no signature" in foreign.stderr
    assert "importing cache manifest" not in log.read_text()


def test_a_cache_that_cannot_be_reached_fails_no_build(
    rolling: Answer, registry: Registry, keys: Keys
) -> None:
    registry.stop()
    answer = run_build_py(
        *("--rehearse", "--no-smoke", "--force", "--arch", "942", "--base", "7.2.0"),
        *("--cache", f"{registry.address}/team/cache", "--sign-key", str(keys.ours)),
        environment=keys.environment,
    )
    assert answer.code == 0, answer.stderr
    unsaid = run_build_py("--rehearse", "--cache", f"{registry.address}/team/cache")
    assert (unsaid.code, "say whose count" in unsaid.stderr) == (2, True)
