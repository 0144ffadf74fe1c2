"""Images are judged by the HIP runtime that is in them, on emulated GPUs, whatever they claim."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from checkouts import Checkout
from four_cells import MATRIX

from conftest import run_in, run_on_gpus
from rehearsal.bases import base_reference, make_laboratory
from rocm_images.engine.buildx import Buildx
from rocm_images.engine.connect import Engine
from rocm_images.smoke import emulator

CELL = "sglang-942-rocm7.2.2"
VENDORED = "sglang-rocm-apart:vendored-rehearsal"
UNSAFE_NOT_MITIGATED, PASS = 10, 0
# Where torch's wheel keeps the runtime that it brings (sglang#35390), and the guard for the proof.
DOCKERFILE = """\
FROM {laboratory} AS laboratory
FROM {image}
RUN --mount=type=bind,from=laboratory,source=/opt/amd/6.4.3,target=/old \\
    lib=$(python -c 'import torch; print(torch.__path__[0])')/lib \\
 && mkdir -p $lib /opt/rocm-images/lib \\
 && cp -L /old/libamdhip64.so.6 $lib/libamdhip64.so \\
 && /opt/rocm-images/capture_guard/build /opt/rocm-images/lib/libcapture_guard.so
"""


@pytest.fixture(scope="module")
def vendored(
    image_apart: str,
    running_engine: Engine,
    buildx: Buildx,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """A 7.2.2 image whose torch brings AMD's runtime of ROCm 6.4.3, with the published bugs."""
    folder = tmp_path_factory.mktemp("vendored")
    client = running_engine.client()
    laboratory = make_laboratory(running_engine, client)
    image = client.images.get(image_apart).tags[0]
    client.close()
    (folder / "Dockerfile").write_text(DOCKERFILE.format(laboratory=laboratory, image=image))
    words = [*buildx.command, "build", f"--tag={VENDORED}", "--network=none", str(folder)]
    subprocess.run(words, env=dict(buildx.environment), check=True, capture_output=True)
    yield VENDORED
    client = running_engine.client()
    client.images.remove(VENDORED, force=True)
    client.close()


def test_a_runtime_that_torch_vendors_is_caught_without_a_gpu(
    vendored: str, apart: Checkout
) -> None:
    answer = apart.build_py("smoke", "--rehearse", "--image", vendored)
    assert answer.code == 4
    report = answer.summary[CELL]
    failed = " ".join(report["tail"])
    assert "test_the_measured_verdict_is_the_one_the_advisories_predict" in failed
    assert "test_no_check_of_the_doctor_fails" in failed
    evidence = apart.build / "evidence" / f"{report['image_id'].removeprefix('sha256:')}.json"
    document = json.loads(evidence.read_text())
    assert document["passed"] is False
    assert document["probe"]["capture"]["bugs"] == ["A", "B"]
    assert "/torch/lib/" in document["probe"]["runtime"]["path"]


def test_the_same_image_is_unsafe_bare_and_guarded_with_the_guard(
    vendored: str, client: docker.DockerClient
) -> None:
    words = ["graph-probe", "run", "--only", "capture", "--json"]
    skip = {"ROCM_IMAGES_SKIP_PREFLIGHT": "1"}
    status, out, err = run_on_gpus(client, vendored, words, **skip)
    assert status == UNSAFE_NOT_MITIGATED, out + err
    assert json.loads(out)["runtime"]["version"] == 60443484
    guard = f"/opt/rocm-images/lib/libcapture_guard.so:{emulator.LIBRARY}"
    status, out, err = run_on_gpus(client, vendored, words, **skip, LD_PRELOAD=guard)
    assert status == PASS, out + err
    assert json.loads(out)["judgement"]["verdict"] == "guarded"


def test_in_the_image_as_it_is_amds_runtime_is_safe(
    image_apart: str, client: docker.DockerClient
) -> None:
    words = ["graph-probe", "run", "--json"]
    status, out, err = run_on_gpus(client, image_apart, words, ROCM_IMAGES_SKIP_PREFLIGHT="1")
    assert status == PASS, out + err
    found = json.loads(out)
    assert (found["capture"]["verdict"], found["replay"]["verdict"]) == ("safe", "replays-right")
    assert found["runtime"]["version"] == 70253211
    assert found["runtime"]["is_stand_in"] is False
    # Without the switch that the image sets, this runtime's replays are wrong.
    unset = {"DEBUG_HIP_GRAPH_SEGMENT_SCHEDULING": "1", "ROCM_IMAGES_SKIP_PREFLIGHT": "1"}
    status, out, _ = run_on_gpus(client, image_apart, ["graph-probe", "replay", "--json"], **unset)
    assert status == 18, out


@pytest.mark.usefixtures("stand_in_bases")
def test_any_image_with_a_hip_runtime_can_be_probed(elsewhere: Checkout) -> None:
    # The base alone: no probe of ours is in it, and nothing sets the switch.
    base = base_reference(MATRIX, "7.2.2")
    answer = elsewhere.build_py("probe", base)
    assert answer.code == 4
    assert "capture  survives a watchdog: all 16 cases did" in answer.stdout
    assert "replay   WRONG" in answer.stdout
    assert "cure     DEBUG_HIP_GRAPH_SEGMENT_SCHEDULING=0" in answer.stdout
    assert "judged" not in answer.stdout
    assert "graph-probe replay ended with 18" in answer.stderr
    words = ("probe", base, "--arch", "MI350X", "--gpus", "1", "capture", "--json")
    answer = elsewhere.build_py(*words)
    assert answer.code == 0, answer.stderr
    assert [device["gfx"] for device in json.loads(answer.stdout)["devices"]] == ["gfx950"]
    missing = elsewhere.build_py("probe", "no-such-image:tag")
    assert missing.code == 2
    assert "build or pull it first" in missing.stderr


def test_a_program_of_another_emulator_runs_the_probe(
    image_apart: str, apart: Checkout, client: docker.DockerClient, tmp_path: Path
) -> None:
    # Ours, started by a program as another emulator's would start it.
    with emulator.lent(client) as holder:
        stream, _ = client.containers.get(holder).get_archive(f"{emulator.MOUNTED_AT}/.")
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as files:
            files.extractall(tmp_path, filter="data")
    program = tmp_path / "another-emulator"
    program.write_text(
        '#!/bin/sh\nhere=$(dirname "$0")\n'
        'export LD_PRELOAD="$here/libhsa-runtime64.so.1" HSA_STANDIN_GPUS=2\nexec "$@"\n'
    )
    program.chmod(0o755)
    image = client.images.get(image_apart).tags[0]
    answer = apart.build_py("smoke", "--rehearse", "--image", image, "--emulator", str(program))
    assert answer.code == 0, answer.stderr
    assert list(answer.summary) == [CELL]
    image_id = answer.summary[CELL]["image_id"].removeprefix("sha256:")
    document = json.loads((apart.build / "evidence" / f"{image_id}.json").read_text())
    digest = hashlib.sha256(program.read_bytes()).hexdigest()
    assert document["emulator"] == f"another-emulator, sha256 {digest}"
    assert document["level"] == "emulated"


def test_a_program_that_cannot_be_started_is_refused(apart: Checkout, tmp_path: Path) -> None:
    plain = tmp_path / "emulator"
    plain.write_text("no program\n")
    answer = apart.build_py("smoke", "--rehearse", "--arch", "942", "--emulator", str(plain))
    assert answer.code == 2
    assert "make it executable" in answer.stderr


def test_the_emulator_is_mounted_read_only_and_leaves_nothing(
    image_apart: str, client: docker.DockerClient
) -> None:
    with emulator.lent(client) as holder:
        (volume,) = client.containers.get(holder).attrs["Mounts"]
        status, _, err = run_in(
            client,
            image_apart,
            ["touch", f"{emulator.MOUNTED_AT}/mark"],
            entrypoint="",
            volumes_from=[f"{holder}:ro"],
        )
    assert status != 0
    assert "Read-only file system" in err
    with pytest.raises(docker.errors.NotFound):
        client.volumes.get(volume["Name"])
