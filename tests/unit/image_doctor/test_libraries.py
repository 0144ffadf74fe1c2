"""Prebuilt kernels and shared libraries, each check passing and failing."""

from __future__ import annotations

import pytest

from image_doctor import libraries
from image_doctor.check import Status
from made_up_image import MadeUpImage
from stand_in_code_objects import bundle_for


def test_prebuilt_kernels_pass_and_are_counted(made: MadeUpImage) -> None:
    check = libraries.check_prebuilt_kernels(made.image)
    assert (check.status, check.found) == (Status.PASS, "AITER has 3 prebuilt libraries.")


def test_no_prebuilt_kernel_fails(made: MadeUpImage) -> None:
    for library in (made.site / "aiter").rglob("*.so"):
        library.unlink()
    check = libraries.check_prebuilt_kernels(made.image)
    assert check.status is Status.FAIL
    assert "PREBUILD_KERNELS=1" in check.advice


def test_libraries_that_torch_and_rocm_bring_are_found(made: MadeUpImage) -> None:
    check = libraries.check_shared_libraries(made.image)
    assert check.status is Status.PASS
    assert check.found.startswith("5 libraries")


def test_a_library_that_is_nowhere_fails_with_its_name_and_user(made: MadeUpImage) -> None:
    made.set_kernel("aiter/jit/module_moe.so", bundle_for(["gfx942"]), needs=["libnowhere.so.3"])
    check = libraries.check_shared_libraries(made.image)
    assert check.status is Status.FAIL
    assert "libnowhere.so.3 is not found, /opt/venv/lib/" in check.found
    assert "module_moe.so needs it" in check.found


def test_a_library_that_torch_no_longer_brings_fails(made: MadeUpImage) -> None:
    (made.site / "torch" / "lib" / "libc10.so").unlink()
    check = libraries.check_shared_libraries(made.image)
    assert check.status is Status.FAIL
    assert "libc10.so is not found" in check.found
    assert "and 2 more" in check.found


def test_a_file_that_is_no_library_fails(made: MadeUpImage) -> None:
    (made.site / "aiter" / "jit" / "module_text.so").write_text("no library")
    check = libraries.check_shared_libraries(made.image)
    assert check.status is Status.FAIL
    assert "module_text.so cannot be loaded" in check.found


def test_without_any_library_there_is_nothing_to_resolve(made: MadeUpImage) -> None:
    for library in made.site.rglob("*.so"):
        library.unlink()
    assert libraries.check_shared_libraries(made.image).status is Status.NOT_RUN


def test_without_ldd_the_check_is_not_run(
    made: MadeUpImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/proc/absent")
    assert libraries.check_shared_libraries(made.image).status is Status.NOT_RUN
