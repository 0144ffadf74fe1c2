"""The pipeline of docs/gitlab.md publishes from the default branch alone, all cells or none."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import docker
import pytest

from conftest import Keys
from gitlab_runner import REPOSITORY, GitLab
from registry import Registry
from rocm_images.catalogue.signed import as_in, signed_in
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.trust import Trust

CELL = "sglang-942-rocm7.2.2"
ROLLING = "v0.5.21-rocm722-mi30x-rehearsal-preview"


@pytest.fixture
def gitlab(tmp_path: Path, keys: Keys) -> GitLab:
    return GitLab(tmp_path / "gitlab", keys)


def repositories(registry: Registry) -> list[str]:
    """Every repository that a registry has."""
    with urllib.request.urlopen(f"http://{registry.address}/v2/_catalog") as answer:
        return list(json.load(answer)["repositories"])


def test_the_gitlab_example_publishes_from_the_default_branch_alone_and_all_or_none(
    registry: Registry, keys: Keys, gitlab: GitLab, client: docker.DockerClient
) -> None:
    variables = {
        "ROCM_IMAGES_REGISTRY": registry.address,
        "MATRIX_OPTIONS": "--rehearse --channel preview --arch 942 --base 7.2.2",
        "BUILD_OPTIONS": f"--cache {registry.address}/cache",
    }
    # A merge request's jobs build, and have no key: they leave no image and no build cache.
    untested = {**variables, "BUILD_OPTIONS": f"{variables['BUILD_OPTIONS']} --no-smoke"}
    asked = gitlab.run(keys.environment, untested, merge_request=True)
    assert asked.jobs == {"plan": True, CELL: True, "summary": True}, asked.text
    assert "environment" not in asked.child[CELL]
    assert not [line for line in asked.child[CELL]["script"] if "push" in line]
    assert (repositories(registry), registry.uploads()) == ([], [])

    # Unlike GitLab, this runner goes on where a cell failed: the program itself refuses.
    broken = gitlab.run(keys.environment, {**variables, "BUILD_OPTIONS": "--no-such-option"})
    assert (broken.jobs[CELL], broken.jobs["publish"]) == (False, False), broken.text
    assert "pages" not in broken.jobs
    assert f"{CELL}: " in broken.text
    assert repositories(registry) == []

    done = gitlab.run(keys.environment, variables)
    names = ("plan", CELL, "publish", "pages", "summary")
    assert done.jobs == dict.fromkeys(names, True), done.text
    assert done.child.keys() == {"stages", "workflow", CELL, "summary"}
    assert "## Images: 1 of 1 good" in done.text, done.text
    # What the jobs left for GitLab: the report of each test, and the catalogue as a site.
    (report,) = done.artifacts.glob("**/*.junit.xml")
    assert f'name="{CELL}"' in report.read_text()
    assert ROLLING in (done.artifacts / "pages" / "public" / "index.html").read_text()

    address = RegistryAddress.parse(registry.address)
    repository = Repository(address, REPOSITORY)
    found = signed_in(repository)
    assert found is not None
    trust = Trust(key=str(keys.our_public))
    listed = as_in(repository, found.verified(Cosign(address, keys.environment), trust, "it"))
    (image,) = listed.images
    assert image.digest == repository.digest_of(ROLLING)
    # Beside this run tests that compare all tags of their images, and remove them.
    tags = client.images.get(image.digest).tags
    assert {tag.partition(":")[0] for tag in tags} == {REPOSITORY}
