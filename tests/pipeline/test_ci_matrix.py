"""Only what a registry lacks gets a job, wherever that runs; build steps are kept there too."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import docker
import pytest
import yaml

from conftest import PROJECT, Answer, run_build_py
from registry import Registry

MISSING = "sglang-950-rocm7.2.0"
PLANNED = PROJECT / "build" / "ci-matrix.json"


@pytest.fixture
def three_of_four(
    rolling: Answer, client: docker.DockerClient, registry: Registry
) -> Mapping[str, str]:
    """The registry with every rehearsed image but one, under its immutable tag; tags by cell."""
    plan = json.loads(run_build_py("plan", "--rehearse", "--json").stdout)
    tags = {cell["cell"]: f"{cell['repository']}:{cell['immutable_tag']}" for cell in plan}
    for cell, tag in tags.items():
        if cell != MISSING:
            name = f"{registry.address}/{tag}"
            client.images.get(tag).tag(name)
            client.images.push(name)
            client.images.remove(name)
    return tags


def test_a_registry_with_three_of_four_images_is_to_get_exactly_the_fourth(
    three_of_four: Mapping[str, str], registry: Registry
) -> None:
    before = len(registry.requests())
    answer = run_build_py("ci-matrix", "--rehearse", "--missing-from", registry.address)
    assert answer.code == 0, answer.stderr
    (entry,) = json.loads(answer.stdout)["include"]
    assert entry["cell"] == MISSING
    assert three_of_four[MISSING].endswith(f":{entry['tag']}")
    assert len(registry.requests()) - before == 4
    skipped = json.loads(PLANNED.read_text())["skipped"]
    assert sorted(one["cell"] for one in skipped) == sorted({*three_of_four} - {MISSING})
    for one in skipped:
        assert one["why"].startswith(f"in {registry.address}: sha256:")
        assert f"skipped {one['cell']}: {one['why']}" in answer.stderr
    page = run_build_py("summary", str(PLANNED)).stdout
    assert "no cell was worked on, 3 skipped" in page


def test_a_registry_that_has_every_image_gets_an_empty_matrix(
    three_of_four: Mapping[str, str], registry: Registry, tmp_path: Path
) -> None:
    outputs = tmp_path / "outputs"
    answer = run_build_py(
        *("ci-matrix", "--rehearse", "--base", "7.2.2", "--missing-from", registry.address),
        environment={"GITHUB_OUTPUT": str(outputs)},
    )
    assert json.loads(answer.stdout) == {"include": []}
    assert outputs.read_text().splitlines() == ['matrix={"include":[]}', "count=0"]


def test_a_registry_that_does_not_answer_is_no_empty_one(registry: Registry) -> None:
    answer = run_build_py("ci-matrix", "--missing-from", f"https://{registry.address}")
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


def test_build_steps_are_kept_in_a_registry_and_found_there_by_the_bases_other_cells(
    rolling: Answer, registry: Registry
) -> None:
    cache = f"{registry.address}/team/cache"
    build = ("--rehearse", "--no-smoke", "--force", "--base", "7.2.0", "--cache", cache)
    first = run_build_py(*build, "--arch", "942")
    assert first.code == 0, first.stderr
    with urllib.request.urlopen(f"http://{cache.replace('/', '/v2/', 1)}/tags/list") as answer:
        assert json.load(answer)["tags"] == ["sglang-942-rocm7.2.0"]
    second = run_build_py(*build, "--arch", "950")
    assert second.code == 0, second.stderr
    log = (PROJECT / "build" / "logs" / "sglang-950-rocm7.2.0.log").read_text()
    assert f"importing cache manifest from {cache}:sglang-942-rocm7.2.0" in log
    assert "HEAD /v2/team/cache/manifests/sglang-942-rocm7.2.0" in registry.requests()


def test_a_cache_that_cannot_be_reached_fails_no_build(rolling: Answer, registry: Registry) -> None:
    registry.stop()
    answer = run_build_py(
        *("--rehearse", "--no-smoke", "--force", "--arch", "942", "--base", "7.2.0"),
        *("--cache", f"{registry.address}/team/cache"),
    )
    assert answer.code == 0, answer.stderr


def example() -> dict[str, dict[str, object]]:
    """The .gitlab-ci.yml of docs/gitlab.md."""
    text = (PROJECT / "docs" / "gitlab.md").read_text()
    found: dict[str, dict[str, object]] = yaml.safe_load(
        text.partition("```yaml\n")[2].partition("```")[0]
    )
    return found


def test_the_commands_of_the_gitlab_example_run(
    three_of_four: Mapping[str, str], registry: Registry
) -> None:
    pipeline = example()
    environment = {
        **os.environ,
        **{name: str(value) for name, value in pipeline["variables"].items()},
        "ROCM_IMAGES_REGISTRY": registry.address,
        "MATRIX_OPTIONS": "--rehearse",
        "BUILD_OPTIONS": f"--rehearse --cache {registry.address}/cache",
    }

    def run(script: object) -> str:
        assert isinstance(script, list)
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", "\n".join(script)],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    generated = PROJECT / "cells.yml"
    try:
        run(pipeline["plan"]["script"])
        child = yaml.safe_load(generated.read_text())
    finally:
        generated.unlink(missing_ok=True)
    assert set(child) == {"stages", MISSING}
    run(child[MISSING]["script"])
    assert "## Images: 1 of 1 good, 3 skipped" in run(pipeline["summary"]["script"])
