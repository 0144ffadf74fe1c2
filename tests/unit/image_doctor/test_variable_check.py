"""What is said of an image whose server no longer reads what the image sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from image_doctor.check import Check, Status
from image_doctor.variable_check import check_variable
from image_servers import SERVERS
from made_up_image import MadeUpImage
from server_sources import WITH_HIP


def test_the_installed_sglang_is_examined_where_no_source_is_given(made: MadeUpImage) -> None:
    assert check_variable(made.image).status is Status.PASS
    made.set_dispatch("def dispatch_custom_allreduce():\n    return CustomAllreduce\n")
    check = check_variable(made.image)
    assert check.status is Status.FAIL
    assert "nothing reads SGLANG_USE_AITER_AR" in check.found
    assert "0.5.5.post3" in check.advice


def test_another_default_than_the_programs_know_is_a_warning(made: MadeUpImage) -> None:
    made.set_dispatch(WITH_HIP.replace('default="true"', 'default="false"'))
    check = check_variable(made.image)
    assert check.status is Status.WARN
    assert "another default is known here: true" in check.found


OPS = """
import vllm.envs as envs

class rocm_aiter_ops:
    _AITER_ENABLED = envs.VLLM_ROCM_USE_AITER
    _CUSTOM = envs.VLLM_ROCM_USE_AITER_CUSTOM_AR

    @classmethod
    def is_custom_all_reduce_enabled(cls):
        return cls._AITER_ENABLED and cls._CUSTOM
"""


def of_vllm(made: MadeUpImage, version: str, ops: str) -> Check:
    package = made.site / "vllm"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    (package / "_aiter_ops.py").write_text(ops)
    made.describe(server="vllm", versions={"vllm": version})
    return check_variable(made.image)


def test_of_vllm_both_variables_are_examined(made: MadeUpImage) -> None:
    check = of_vllm(made, "0.27.1", OPS)
    assert check.status is Status.PASS
    assert "VLLM_ROCM_USE_AITER_CUSTOM_AR is read at" in check.found
    assert "VLLM_ROCM_USE_AITER is read at" in check.found
    lost = of_vllm(made, "0.27.1", OPS.replace("cls._AITER_ENABLED and ", ""))
    assert lost.status is Status.FAIL
    assert lost.found.startswith("VLLM_ROCM_USE_AITER is read at")


def test_a_release_that_does_not_read_it_passes_and_says_so(made: MadeUpImage) -> None:
    before = OPS.replace("VLLM_ROCM_USE_AITER_CUSTOM_AR", "VLLM_ROCM_USE_AITER_MOE")
    check = of_vllm(made, "0.18.1", before)
    assert check.status is Status.PASS
    assert check.found.startswith("vLLM 0.18.1 has no choice of its all-reduce")
    assert of_vllm(made, "0.27.1", before).status is Status.FAIL
    unreadable = of_vllm(made, "0.18.1", f"{before}\ndef (")
    assert unreadable.status is Status.FAIL
    assert "is no Python" in unreadable.found
    # What it is known not to read must not be read, else the image lacks a setting.
    assert of_vllm(made, "0.18.1", OPS).status is Status.FAIL


def test_a_source_is_read_as_the_server_whose_package_it_holds(
    made: MadeUpImage, tmp_path: Path
) -> None:
    package = tmp_path / "vllm"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "ops.py").write_text(OPS)
    assert "sglang" not in check_variable(made.image, tmp_path).found
    assert "VLLM_ROCM_USE_AITER_CUSTOM_AR" in check_variable(made.image, tmp_path).found
    told = check_variable(made.image, tmp_path, SERVERS["sglang"])
    assert told.status is Status.FAIL
    assert "holds no package sglang" in told.found


@pytest.mark.parametrize("name", ["empty", "no-wheel.whl"])
def test_a_source_without_sglang_fails_with_its_name(
    made: MadeUpImage, tmp_path: Path, name: str
) -> None:
    place = tmp_path / name
    if place.suffix:
        place.write_text("no zip file")
    else:
        place.mkdir()
    check = check_variable(made.image, place)
    assert check.status is Status.FAIL
    assert str(place) in check.found
