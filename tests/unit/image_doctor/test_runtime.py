"""The HIP runtime that torch would load: found by the loader, judged by its own version."""

from __future__ import annotations

from pathlib import Path

import pytest

import shared_objects
from image_doctor import runtime
from image_doctor.check import Status
from image_facts.hip_builds import of_integer
from made_up_image import HIP_OF_7_2_0, HIP_OF_7_2_2, MadeUpImage


def test_the_runtime_of_the_images_release_passes(made: MadeUpImage) -> None:
    check = runtime.check_hip_runtime(made.image)
    assert check.status is Status.PASS
    assert "/opt/rocm/lib/libamdhip64.so.7: HIP 7.2.53211" in check.found


@pytest.mark.parametrize(("rocm", "status"), [("7.2.0", Status.PASS), ("7.2.1", Status.FAIL)])
def test_the_runtime_of_7_2_0_passes_in_an_image_on_7_2_0_alone(
    made: MadeUpImage, rocm: str, status: Status
) -> None:
    shared_objects.write(
        made.root / "opt/rocm/lib/libamdhip64.so.7", soname="libamdhip64.so.7",
        hip_version=HIP_OF_7_2_0,
    )  # fmt: skip
    made.describe(rocm=rocm)
    assert runtime.check_hip_runtime(made.image).status is status


def test_a_runtime_of_7_2_0_in_torch_wins_over_a_newer_base_and_fails(made: MadeUpImage) -> None:
    made.set_torch_runtime(HIP_OF_7_2_0)
    check = runtime.check_hip_runtime(made.image)
    assert check.status is Status.FAIL
    assert "torch/lib/libamdhip64.so.7: HIP 7.2.26015 (ROCm 7.2.0)" in check.found
    assert "sgl-project/sglang#35390" in check.advice


def test_a_runtime_in_torch_of_the_images_release_passes(made: MadeUpImage) -> None:
    made.set_torch_runtime(HIP_OF_7_2_2)
    check = runtime.check_hip_runtime(made.image)
    assert check.status is Status.PASS
    assert "torch/lib" in check.found


def test_torchs_own_search_path_decides_which_runtime_it_is(made: MadeUpImage) -> None:
    # The copy lies in torch/lib, but torch looks in /opt/rocm alone.
    made.set_torch_runtime(HIP_OF_7_2_0)
    lib = made.site / "torch" / "lib"
    (lib / "libc10.so").rename(made.root / "opt/rocm/lib/libc10.so")
    shared_objects.write(
        lib / "libc10_hip.so", needs=["libamdhip64.so.7"], runpath=f"{made.root}/opt/rocm/lib"
    )
    assert "/opt/rocm/lib" in runtime.check_hip_runtime(made.image).found


def test_without_torchs_libraries_the_one_in_torch_lib_still_wins(made: MadeUpImage) -> None:
    made.set_torch_runtime(HIP_OF_7_2_0)
    (made.site / "torch" / "lib" / "libc10_hip.so").unlink()
    assert runtime.check_hip_runtime(made.image).status is Status.FAIL


def test_no_runtime_at_all_fails(made: MadeUpImage) -> None:
    for library in made.root.rglob("libamdhip64*"):
        library.unlink()
    check = runtime.check_hip_runtime(made.image)
    assert check.status is Status.FAIL
    assert "there is no libamdhip64" in check.found


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("libamdhip64.so.7.2.53211", Status.PASS),
        ("libamdhip64.so.7.2.70202", Status.PASS),
        ("libamdhip64.so.7.2.70200", Status.FAIL),
        ("libamdhip64.so.7.2.26015", Status.FAIL),
        ("libamdhip64.so.6.4.43484", Status.FAIL),
        ("libamdhip64.so", Status.WARN),
    ],
)
def test_a_runtime_that_does_not_load_is_judged_by_its_name(
    made: MadeUpImage, name: str, status: Status
) -> None:
    folder = made.root / "opt" / "rocm" / "lib"
    for library in folder.glob("libamdhip64*"):
        library.unlink()
    (folder / name).write_text("a library that needs a GPU's driver")
    if name != "libamdhip64.so":
        (folder / "libamdhip64.so").symlink_to(name)
    (made.site / "torch" / "lib" / "libc10_hip.so").unlink()
    assert runtime.check_hip_runtime(made.image).status is status


def test_a_newer_hip_in_opt_rocm_passes_by_its_minor_version(made: MadeUpImage) -> None:
    path = made.root / "opt/rocm/lib/libamdhip64.so.7"
    shared_objects.write(path, soname="libamdhip64.so.7", hip_version=70260000)
    assert runtime.check_hip_runtime(made.image).status is Status.PASS
    made.describe(rocm="7.3.0")
    assert runtime.check_hip_runtime(made.image).status is Status.FAIL


def test_an_unknown_hip_in_torch_is_a_warning(made: MadeUpImage) -> None:
    made.set_torch_runtime(70260000)
    assert runtime.check_hip_runtime(made.image).status is Status.WARN


def test_a_version_integer_and_a_file_name_mean_the_same() -> None:
    by_name = runtime.of_name(Path("libamdhip64.so.7.2.53211"))
    assert of_integer(HIP_OF_7_2_2) == by_name.hip == (7, 2, 53211)


@pytest.mark.parametrize(
    ("rocm", "hip_version", "status"),
    [
        ("7.2.3", HIP_OF_7_2_2, Status.PASS),  # between two releases that are known to have it
        ("7.2.3", HIP_OF_7_2_0, Status.FAIL),
        ("7.2.5", HIP_OF_7_2_2, Status.PASS),  # the table knows no later build
        ("7.2.5", HIP_OF_7_2_0, Status.FAIL),  # and this one was replaced before
        ("7.2.0", HIP_OF_7_2_2, Status.FAIL),
        ("7.1.1", HIP_OF_7_2_0, Status.FAIL),
    ],
)
def test_releases_that_no_entry_names_are_judged_by_those_around_them(
    made: MadeUpImage, rocm: str, hip_version: int, status: Status
) -> None:
    path = made.root / "opt/rocm/lib/libamdhip64.so.7"
    shared_objects.write(path, soname="libamdhip64.so.7", hip_version=hip_version)
    made.describe(rocm=rocm)
    assert runtime.check_hip_runtime(made.image).status is status


def test_a_copy_in_torch_that_may_be_older_is_a_warning(made: MadeUpImage) -> None:
    made.set_torch_runtime(HIP_OF_7_2_2)
    made.describe(rocm="7.2.5")
    assert runtime.check_hip_runtime(made.image).status is Status.WARN


def test_an_image_without_the_table_is_judged_by_hips_version(made: MadeUpImage) -> None:
    made.describe(hip_builds=None, capture_bug=None)
    assert runtime.check_hip_runtime(made.image).status is Status.PASS
    made.describe(rocm="7.3.0")
    assert runtime.check_hip_runtime(made.image).status is Status.FAIL
