"""The owner's kit and the serve tier, in a rehearsed image on a real engine."""

from __future__ import annotations

import json
from pathlib import Path

import docker
import pytest

from conftest import Answer, run_build_py, run_on_gpus
from rocm_images.engine.connect import Engine

RECOMMENDED = "sglang-rocm:v0.5.21-rocm722-mi30x-rehearsal"


@pytest.fixture(scope="module")
def printed(rehearsed: Answer, client: docker.DockerClient) -> str:
    """What `docker run ... IMAGE selftest --output -` prints, on two emulated GPUs."""
    image_id = rehearsed.summary["sglang-942-rocm7.2.2"]["image_id"]
    words = ["selftest", "--output", "-"]
    status, out, err = run_on_gpus(client, image_id, words, ROCM_IMAGES_IMAGE_ID=image_id)
    assert status == 0, err
    return out


@pytest.fixture
def evidence(rolling: Answer, printed: str, tmp_path: Path) -> Path:
    """The file that it was written to."""
    path = tmp_path / "evidence.json"
    path.write_text(printed)
    return path


def test_a_self_test_verifies_against_its_image_and_no_other(
    evidence: Path, real_engine: Engine
) -> None:
    verify = ("evidence", "verify", str(evidence))
    environment = dict(real_engine.environment)
    own = run_build_py(*verify, "--image", RECOMMENDED, environment=environment)
    assert own.code == 0, own.stderr
    assert "sglang-942-rocm7.2.2: passed at level emulated" in own.stdout
    assert "serve     not-run: not run: no GPU" in own.stdout
    assert "race      not-run: not run: no GPU" in own.stdout
    other = "sglang-rocm:v0.5.21-rocm720-mi30x-rehearsal"
    wrong = run_build_py(*verify, "--image", other, environment=environment)
    assert wrong.code == 11
    assert "is about sha256:" in wrong.stderr


def test_the_contents_tell_images_apart_where_no_id_was_told(
    evidence: Path, real_engine: Engine
) -> None:
    from rocm_images.smoke.evidence import seal_of

    document = json.loads(evidence.read_text())
    document["image"]["id"] = None
    document["seal"] = seal_of(document)
    evidence.write_text(json.dumps(document))
    verify = ("evidence", "verify", str(evidence))
    environment = dict(real_engine.environment)
    assert run_build_py(*verify, "--image", RECOMMENDED, environment=environment).code == 0
    other = "sglang-rocm:v0.5.21-rocm720-mi30x-rehearsal"
    wrong = run_build_py(*verify, "--image", other, environment=environment)
    assert wrong.code == 11
    assert "the contents" in wrong.stderr


def test_a_tampered_self_test_does_not_verify(evidence: Path) -> None:
    evidence.write_text(evidence.read_text().replace('"emulated"', '"serve"', 1))
    answer = run_build_py("evidence", "verify", str(evidence))
    assert answer.code == 11
    assert "changed after the test" in answer.stderr


def test_without_a_gpu_the_serve_tier_says_so_and_claims_no_level(rolling: Answer) -> None:
    # By its cell; by its name test_emulated.py has one tested.
    cell = ("--arch", "942", "--base", "7.2.2")
    answer = run_build_py("smoke", "--rehearse", "--serve", *cell)
    assert answer.code == 0, answer.stderr
    assert list(answer.summary) == ["sglang-942-rocm7.2.2"]
    # Asked for, a test is run, whatever evidence there is.
    assert "smoke test" in answer.stderr
    assert "not run: no GPU" in answer.stdout
    assert answer.summary["sglang-942-rocm7.2.2"]["evidence"]["level"] == "emulated"
