"""The description, the ROCm release and the environment, each check passing and failing."""

from __future__ import annotations

import pytest

from image_doctor import environment
from image_doctor.check import Status
from image_facts.description import PLACE
from made_up_image import MadeUpImage


def test_a_whole_description_passes(made: MadeUpImage) -> None:
    assert environment.check_description(made.image).status is Status.PASS


@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", '{"cell": 1}'])
def test_a_description_that_is_not_whole_fails(made: MadeUpImage, text: str | None) -> None:
    if text is None:
        (made.root / PLACE).unlink()
    else:
        made.write(PLACE, text)
    assert environment.check_description(made.image).status is Status.FAIL


def test_the_release_of_the_image_passes_with_its_build_number(made: MadeUpImage) -> None:
    check = environment.check_rocm_release(made.image)
    assert (check.status, check.found) == (Status.PASS, "ROCm 7.2.2-43.")


@pytest.mark.parametrize("release", ["7.2.0-43", "7.2.21", "", None])
def test_another_release_fails(made: MadeUpImage, release: str | None) -> None:
    if release is None:
        (made.root / "opt/rocm/.info/version").unlink()
    else:
        made.write("opt/rocm/.info/version", release)
    assert environment.check_rocm_release(made.image).status is Status.FAIL


def test_the_images_own_environment_passes(made: MadeUpImage) -> None:
    assert environment.check_environment(made.image).status is Status.PASS


def test_a_changed_variable_is_a_warning_with_both_values(made: MadeUpImage) -> None:
    made.environment["SGLANG_USE_AITER_AR"] = "0"
    check = environment.check_environment(made.image)
    assert check.status is Status.WARN
    assert "SGLANG_USE_AITER_AR is 0, the image sets 1" in check.found


def test_a_variable_that_was_taken_away_is_a_warning(made: MadeUpImage) -> None:
    del made.environment["SGLANG_MOE_PADDING"]
    check = environment.check_environment(made.image)
    assert check.status is Status.WARN
    assert "SGLANG_MOE_PADDING is not set, the image sets 1" in check.found


def test_gpu_archs_in_the_environment_fails(made: MadeUpImage) -> None:
    made.environment["GPU_ARCHS"] = "gfx942"
    check = environment.check_environment(made.image)
    assert check.status is Status.FAIL
    assert "GPU_ARCHS" in check.found
