"""Nothing changed, nothing done; something changed, exactly that is built."""

from __future__ import annotations

import json
import shutil
import uuid
from dataclasses import replace
from pathlib import Path

import docker
import four_cells
import pytest

from conftest import PROJECT, Answer, run_build_py
from rocm_images.engine.buildx import Buildx
from rocm_images.engine.images import BUILD_ID, INPUTS, images_of
from rocm_images.plan.cells import cells_of
from rocm_images.smoke.evidence import Evidence


@pytest.fixture
def no_buildx(buildx: Buildx, tmp_path: Path) -> dict[str, str]:
    """An environment in which every start of buildx leaves a mark and fails."""
    # docker on the PATH, and buildx there and as the plugin that docker would take first.
    programs, plugins = tmp_path / "programs", tmp_path / "configuration" / "cli-plugins"
    for program in (programs / "docker", programs / "docker-buildx", plugins / "docker-buildx"):
        real = shutil.which(program.name, path=buildx.environment["PATH"])
        script = f"""#!/bin/sh
case "$0 $*" in *buildx*) echo "$0 $*" >> {tmp_path}/started; exit 1;; esac
exec {real} "$@"
"""
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(script)
        program.chmod(0o755)
    return {
        "PATH": f"{programs}:{buildx.environment['PATH']}",
        "DOCKER_CONFIG": str(plugins.parent),
        "DOCKER_HOST": buildx.environment["DOCKER_HOST"],
    }


def test_a_second_run_starts_no_buildx_and_no_test(
    rehearsed: Answer, no_buildx: dict[str, str], tmp_path: Path
) -> None:
    answer = run_build_py("--rehearse", environment=no_buildx)
    assert answer.code == 0, answer.stderr
    assert {cell["result"] for cell in answer.summary.values()} == {"up to date"}
    assert {c: r["image_id"] for c, r in answer.summary.items()} == {
        c: r["image_id"] for c, r in rehearsed.summary.items()
    }
    assert "smoke test" not in answer.stderr
    assert not (tmp_path / "started").exists()


def test_images_are_found_among_more_names_than_one_question_can_hold(
    rehearsed: Answer, client: docker.DockerClient
) -> None:
    built = {report["image_id"] for report in rehearsed.summary.values()}
    names = [tag for image_id in built for tag in client.images.get(image_id).tags]
    made_up = [f"sglang-rocm:made-up-{number:030d}" for number in range(40_000)]
    found = images_of(client, [*made_up, *names])
    assert {image.image_id for image in found} == built
    assert images_of(client, made_up) == ()


def test_plan_says_what_is_up_to_date_and_what_changed(rehearsed: Answer, tmp_path: Path) -> None:
    states = {cell["cell"]: cell["state"] for cell in planned()}
    assert set(states.values()) == {"up to date"}
    matrix = tmp_path / "matrix.yaml"
    text = four_cells.PATH.read_text()
    aiter = cells_of(four_cells.MATRIX)[0].sources["aiter"]
    matrix.write_text(text.replace(aiter.ref, "0" * 40))
    # In a rehearsal the sources are stand-ins, so only the Dockerfile changes.
    states = {cell["cell"]: cell["state"] for cell in planned("--matrix", str(matrix))}
    assert set(states.values()) == {"to build (changed: dockerfile)"}
    removed = {cell["cell"]: cell["state"] for cell in planned("--arch", "942")}
    assert set(removed) == {"sglang-942-rocm7.2.0", "sglang-942-rocm7.2.2"}


def planned(*arguments: str) -> list[dict[str, str]]:
    answer = run_build_py("plan", "--rehearse", "--json", *arguments)
    assert answer.code == 0, answer.stderr
    cells: list[dict[str, str]] = json.loads(answer.stdout)
    return cells


def test_force_builds_what_is_up_to_date(
    rehearsed: Answer, no_buildx: dict[str, str], tmp_path: Path
) -> None:
    answer = run_build_py(
        *("--rehearse", "--force", "--arch", "942", "--base", "7.2.0"), environment=no_buildx
    )
    assert answer.code == 3
    started = (tmp_path / "started").read_text()
    for place in ("cli-plugins/docker-buildx version", "programs/docker buildx version"):
        assert place in started


def test_label_and_tag_agree(rehearsed: Answer, client: docker.DockerClient) -> None:
    for report in rehearsed.summary.values():
        image = client.images.get(report["image_id"])
        immutable = f"{report['reference']}-{image.labels[BUILD_ID][:12]}"
        assert immutable in image.tags
        assert '"dockerfile":' in image.labels[INPUTS]


def test_a_changed_source_is_built_and_a_change_taken_back_is_not(
    rehearsed: Answer, client: docker.DockerClient, tmp_path: Path
) -> None:
    source = tmp_path / "aiter"
    shutil.copytree(PROJECT / "rehearsal" / "sources" / "aiter", source)
    choice = ("--rehearse", "--no-smoke", "--arch", "942", "--base", "7.2.0", "--jobs", "4")
    context = ("--context", f"aiter-src={source}")
    same = run_build_py(*choice, *context)
    assert same.summary["sglang-942-rocm7.2.0"]["result"] == "up to date"

    # A content of this run's own: an engine that lives on has the images of earlier runs.
    (source / "aiter" / "__init__.py").write_text(f'"""Changed: {uuid.uuid4()}."""\n')
    changed = run_build_py(*choice, *context)
    assert changed.summary["sglang-942-rocm7.2.0"]["result"] == "done"
    assert (
        changed.summary["sglang-942-rocm7.2.0"]["image_id"]
        != same.summary["sglang-942-rocm7.2.0"]["image_id"]
    )

    back = run_build_py(*choice)
    first = rehearsed.summary["sglang-942-rocm7.2.0"]
    assert back.summary["sglang-942-rocm7.2.0"]["result"] == "up to date"
    # The rolling tag points at it again.
    assert client.images.get(first["reference"]).id == first["image_id"]


def test_evidence_of_other_tests_does_not_count(rehearsed: Answer) -> None:
    report = rehearsed.summary["sglang-942-rocm7.2.0"]
    folder = PROJECT / "build" / "evidence"
    known = Evidence.read(folder, report["image_id"])
    assert known is not None
    # As a run of other tests would write it, and so with a seal that is right.
    others = replace(known, tests="0" * 64)
    others.write(folder)
    assert Evidence.read(folder, report["image_id"]) == others
    try:
        answer = run_build_py("--rehearse", "--arch", "942", "--base", "7.2.0")
        found = Evidence.read(folder, report["image_id"])
    finally:
        known.write(folder)
    assert found is not None
    assert found.tests == known.tests
    assert answer.summary["sglang-942-rocm7.2.0"]["result"] == "tested"
    assert "smoke test" in answer.stderr
    assert answer.code == 0
