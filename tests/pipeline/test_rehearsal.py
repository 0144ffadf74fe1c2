"""From matrix.yaml to tested images, on a real engine."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import docker
from four_cells import MATRIX

from conftest import BUILD_PY, PROJECT, Answer, containers_of, run_build_py
from interrupted import started
from rocm_images.engine.buildx import Buildx
from rocm_images.engine.images import BUILD_ID
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load
from rocm_images.recipe.labels import STAND_IN

CELLS = (
    "sglang-942-rocm7.2.0",
    "sglang-942-rocm7.2.2",
    "sglang-950-rocm7.2.0",
    "sglang-950-rocm7.2.2",
)


def test_one_command_builds_and_tests_every_image(rehearsed: Answer) -> None:
    assert rehearsed.code == 0, rehearsed.stderr
    for cell in CELLS:
        report = rehearsed.summary[cell]
        assert report["result"] in ("done", "up to date")
        passed, _, total, *_ = report["smoke"].split()
        assert passed == total != "0"
        assert report["image_id"][7:19] in rehearsed.stdout
        assert (PROJECT / "build" / "logs" / f"{cell}.log").stat().st_size > 0


def test_a_rehearsal_needs_no_lock(rehearsed: Answer) -> None:
    # Every base and source is a stand-in, which the lock has no part in.
    assert "matrix.lock" not in rehearsed.stderr


def test_a_rehearsed_image_says_that_it_is_one(
    rehearsed: Answer, client: docker.DockerClient
) -> None:
    for cell in CELLS:
        image = client.images.get(rehearsed.summary[cell]["image_id"])
        assert image.labels[STAND_IN]
        assert all("-rehearsal" in tag for tag in image.tags)


def test_the_recommended_image_has_both_rolling_tags_and_the_immutable_one(
    rolling: Answer, client: docker.DockerClient
) -> None:
    image = client.images.get(rolling.summary["sglang-942-rocm7.2.2"]["image_id"])
    build_id = image.labels[BUILD_ID]
    assert set(image.tags) == {
        "sglang-rocm:v0.5.21-rocm722-mi30x-rehearsal",
        "sglang-rocm:v0.5.21-mi30x-rehearsal",
        f"sglang-rocm:v0.5.21-rocm722-mi30x-rehearsal-{build_id[:12]}",
    }


def test_a_stand_in_base_labels_whatever_is_built_on_it(
    rolling: Answer, buildx: Buildx, client: docker.DockerClient, tmp_path: Path
) -> None:
    # Built with plain buildx and without our labels, an image still cannot pass for a real one.
    base = rolling.summary["sglang-942-rocm7.2.0"]["reference"]
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\n")
    words = [*buildx.command, "build", "--tag=sglang-rocm:derived-rehearsal", str(tmp_path)]
    subprocess.run(words, env=dict(buildx.environment), check=True, capture_output=True)
    assert client.images.get("sglang-rocm:derived-rehearsal").labels[STAND_IN]


def test_no_container_is_left_behind(rehearsed: Answer, client: docker.DockerClient) -> None:
    ours = [cell["image_id"] for cell in rehearsed.summary.values()]
    assert containers_of(client, "smoke", *ours) == []


def test_a_failed_cell_is_explained_and_the_other_one_is_finished(rehearsed: Answer) -> None:
    # An empty folder in place of the 7.2.0 base: no shell to run the first step with.
    broken = next(
        cell for cell in cells_of(MATRIX) if cell.name == "sglang-942-rocm7.2.0"
    ).base_image
    empty = PROJECT / "build" / "empty"
    empty.mkdir(exist_ok=True)
    answer = run_build_py("--arch", "942", "--rehearse", "--context", f"{broken}={empty}")
    assert answer.code == 1
    assert answer.summary["sglang-942-rocm7.2.0"]["result"] == "build failed"
    assert answer.summary["sglang-942-rocm7.2.2"]["result"] in ("done", "up to date")
    assert "tests passed" in answer.summary["sglang-942-rocm7.2.2"]["smoke"]
    assert "sglang-942-rocm7.2.0: build failed: [base 1/" in answer.stderr
    assert "full log: " in answer.stderr
    assert "Traceback" not in answer.stderr


def test_an_image_whose_environment_disagrees_with_its_advisories_fails_its_smoke_test(
    rolling: Answer, buildx: Buildx, tmp_path: Path
) -> None:
    base = rolling.summary["sglang-942-rocm7.2.0"]["reference"]
    (tmp_path / "Dockerfile").write_text(f"FROM {base}\nENV SGLANG_USE_AITER_AR=1\n")
    words = [*buildx.command, "build", "--tag=sglang-rocm:unsafe-rehearsal", str(tmp_path)]
    subprocess.run(words, env=dict(buildx.environment), check=True, capture_output=True)
    answer = run_build_py("smoke", "--rehearse", "--image", "sglang-rocm:unsafe-rehearsal")
    assert answer.code == 4
    assert "test_the_environment_is_the_one_the_advisories_give" in answer.stderr


def test_an_image_that_is_missing_or_not_ours_is_refused(
    rehearsed: Answer, client: docker.DockerClient
) -> None:
    missing = run_build_py("smoke", "--rehearse", "--image", "sglang-rocm:no-such-tag")
    assert missing.code == 2
    assert "build or pull it first" in missing.stderr
    base = next(
        tag
        for image in client.api.images(filters={"label": STAND_IN})
        for tag in image["RepoTags"] or ()
        if "/base:" in tag
    )
    not_ours = run_build_py("smoke", "--rehearse", "--image", base)
    assert not_ours.code == 2
    assert "carries no label" in not_ours.stderr


def test_an_interrupt_stops_every_child_and_says_what_was_finished(
    rehearsed: Answer, tmp_path: Path
) -> None:
    source = tmp_path / "aiter"
    source.mkdir()
    (source / "requirements.txt").write_text("packaging\n")
    # A compile that would never end; it says when it has begun.
    (source / "setup.py").write_text("print('compiles', flush=True)\nwhile True: pass\n")
    words = [*BUILD_PY, "--arch", "942", "--rehearse", "--context", f"aiter-src={source}"]
    with started(words) as run:
        assert run.process.stderr is not None
        assert any("[aiter 1/1]" in line for line in run.process.stderr)
        # build.py itself, and its children.
        assert len(run.processes) > 1
        stdout, stderr = run.interrupt()
        assert run.processes == []
    assert run.process.returncode == 130
    assert "interrupted" in stdout
    assert "Traceback" not in stderr
    document = json.loads((PROJECT / "build" / "summary.json").read_text())
    assert {cell["result"] for cell in document["cells"]} == {"interrupted"}


def test_buildx_alone_understands_the_bake_file(rehearsed: Answer, buildx: Buildx) -> None:
    matrix = load(PROJECT / "matrix.yaml")
    bases, servers = len(matrix.bases), len(matrix.servers)
    groups = {"942": bases * servers, "rocm7_2_0": 2 * servers, "default": 2 * bases * servers}
    for group, targets in groups.items():
        done = subprocess.run(
            [*buildx.command, "bake", "--print", group],
            cwd=PROJECT,
            env={**os.environ, **buildx.environment},
            capture_output=True,
            text=True,
            check=True,
        )
        assert len(json.loads(done.stdout)["target"]) == targets


def test_bake_finds_every_dockerfile_and_its_context(
    rehearsed: Answer, buildx: Buildx, tmp_path: Path
) -> None:
    # Up to a stage without a RUN: bake cannot choose the host's network, and the private engine
    # has no other one.
    bake = json.loads((PROJECT / "docker-bake.json").read_text())
    stand_ins = PROJECT / "rehearsal" / "sources"
    changes = {
        target: {
            "target": f"{server}-src",
            "contexts": {f"{server}-src": str(stand_ins / server)},
            "output": ["type=cacheonly"],
        }
        for server in load(PROJECT / "matrix.yaml").servers
        for target in bake["group"][server]["targets"]
    }
    assert changes.keys() == bake["target"].keys()
    override = tmp_path / "override.json"
    override.write_text(json.dumps({"target": changes}))
    done = subprocess.run(
        [*buildx.command, "bake", "--file=docker-bake.json", f"--file={override}"],
        cwd=PROJECT,
        env=dict(buildx.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
