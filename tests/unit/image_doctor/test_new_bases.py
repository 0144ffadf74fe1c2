"""A base that is added by one block is planned, rendered, and passes the doctor without an edit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from image_doctor import preflight, runtime
from image_doctor.check import Status
from made_up_image import HIP_OF_7_2_0, MadeUpImage
from rocm_images.cli.main import main

ADDED = ("7.2.3", "7.2.4")


def answer(*arguments: str) -> str:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture
def matrix(with_bases: Callable[..., Path]) -> str:
    return str(with_bases(*ADDED))


def test_the_cells_of_new_bases_are_planned(matrix: str) -> None:
    cells = {
        cell["cell"]: cell for cell in json.loads(answer("plan", "--json", "--matrix", matrix))
    }
    for base in ADDED:
        for arch in ("942", "950"):
            cell = cells[f"sglang-{arch}-rocm{base}"]
            assert cell["all_reduce"] == "aiter"
            # Known of the runtimes up to 7.2.3 on MI300X alone.
            corrupted = ["replay-corrupted"] if (arch, base) == ("942", "7.2.3") else []
            assert (cell["capture_guard"], cell["warnings"]) == (False, corrupted)
            # The advisory of 7.2.4 alone is told by its range.
            assert ("device-name" in cell["advisories"]) is (base == "7.2.4")


@pytest.mark.parametrize("base", ADDED)
def test_the_image_of_a_new_base_passes_the_doctor(
    made: MadeUpImage, matrix: str, tmp_path: Path, base: str
) -> None:
    answer("render", "--matrix", matrix, "--output", str(tmp_path / "rendered"))
    answer("render", "--check", "--matrix", matrix, "--output", str(tmp_path / "rendered"))
    dockerfile = (tmp_path / "rendered" / f"sglang-942-rocm{base}" / "Dockerfile").read_text()
    text = dockerfile.split("<<'IMAGE_JSON' /image.json\n", 1)[1].split("\nIMAGE_JSON\n", 1)[0]
    made.describe_as(text)

    check = runtime.check_hip_runtime(made.image)
    assert (check.status, made.image.facts.rocm) == (Status.PASS, base)
    assert "HIP 7.2.53211 (ROCm 7.2.1 to 7.2.4)" in check.found
    # As the image has it, AITER's all-reduce is on, and of that there is nothing to warn.
    assert made.environment["SGLANG_USE_AITER_AR"] == "1"
    checks = preflight.check_machine(made.image)
    warned = {check.name for check in checks if check.status is not Status.PASS}
    assert warned == ({"advisory-replay-corrupted"} if base == "7.2.3" else set())

    made.set_torch_runtime(HIP_OF_7_2_0)
    assert runtime.check_hip_runtime(made.image).status is Status.FAIL
