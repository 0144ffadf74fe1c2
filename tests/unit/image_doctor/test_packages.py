"""The checks of the installed packages, each passing and failing."""

from __future__ import annotations

import venv
from pathlib import Path

import pytest

from image_doctor import packages
from image_doctor.check import Status
from image_doctor.image import Image
from made_up_image import TRITON, MadeUpImage


def test_a_torch_for_hip_passes_and_is_not_imported(made: MadeUpImage) -> None:
    check = packages.check_torch(made.image)
    assert check.status is Status.PASS
    assert "HIP 7.2.53211" in check.found


@pytest.mark.parametrize(
    ("hip", "cuda", "said"), [(None, "12.8", "CUDA 12.8"), (None, None, "no GPU at all")]
)
def test_a_torch_for_anything_else_fails(
    made: MadeUpImage, hip: str | None, cuda: str | None, said: str
) -> None:
    made.set_torch(hip, cuda)
    check = packages.check_torch(made.image)
    assert check.status is Status.FAIL
    assert said in check.found


def test_no_torch_at_all_fails(made: MadeUpImage) -> None:
    (made.site / "torch" / "version.py").unlink()
    assert packages.check_torch(made.image).status is Status.FAIL


def test_a_harmless_package_with_nvidia_in_its_name_passes(made: MadeUpImage) -> None:
    assert packages.check_no_cuda(made.image).status is Status.PASS


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("nvidia-cublas-cu12", "12.8.4"),
        ("nvidia_cudnn_cu13", "9.1"),
        ("nvidia-cuda-runtime", "13.0"),
        ("torchvision", "0.24.1+cu128"),
    ],
)
def test_a_package_for_cuda_fails_by_name(made: MadeUpImage, name: str, version: str) -> None:
    made.add_package(name, version)
    check = packages.check_no_cuda(made.image)
    assert check.status is Status.FAIL
    assert version in check.found


def test_one_triton_at_its_pin_passes(made: MadeUpImage) -> None:
    check = packages.check_triton(made.image)
    assert (check.status, check.found) == (Status.PASS, f"triton {TRITON}.")


def test_no_triton_fails(made: MadeUpImage) -> None:
    made.remove_package("triton")
    check = packages.check_triton(made.image)
    assert check.status is Status.FAIL
    assert "there is none" in check.found


@pytest.mark.parametrize("second", ["pytorch-triton-rocm", "triton_rocm", "pytorch-triton"])
def test_a_second_triton_fails_under_each_of_its_names(made: MadeUpImage, second: str) -> None:
    made.add_package(second, "3.5.1")
    check = packages.check_triton(made.image)
    assert check.status is Status.FAIL
    assert "3.5.1" in check.found


def test_a_triton_at_another_version_fails(made: MadeUpImage) -> None:
    made.remove_package("triton")
    made.add_package("triton", "3.5.1")
    check = packages.check_triton(made.image)
    assert check.status is Status.FAIL
    assert "3.5.1" in check.found
    assert TRITON in check.found


def test_versions_as_in_image_json_pass(made: MadeUpImage) -> None:
    check = packages.check_versions(made.image)
    assert check.status is Status.PASS
    assert "sglang 0.5.21" in check.found


@pytest.mark.parametrize("package", ["sglang", "amd-aiter", "triton_kernels"])
def test_another_version_than_in_image_json_fails(made: MadeUpImage, package: str) -> None:
    made.remove_package(package)
    made.add_package(package, "0.0.0.dev1")
    check = packages.check_versions(made.image)
    assert check.status is Status.FAIL
    assert f"{package.replace('_', '-')} is 0.0.0.dev1" in check.found


@pytest.mark.parametrize("package", ["sglang", "amd-aiter", "sglang-kernel"])
def test_a_package_that_is_not_installed_fails(made: MadeUpImage, package: str) -> None:
    made.remove_package(package)
    check = packages.check_versions(made.image)
    assert check.status is Status.FAIL
    assert f"{package} is not installed" in check.found


@pytest.fixture(scope="module")
def with_pip(tmp_path_factory: pytest.TempPathFactory) -> MadeUpImage:
    """An image whose /opt/venv is a real one, so that pip itself answers."""
    root = tmp_path_factory.mktemp("with-pip")
    venv.create(root / "opt" / "venv", with_pip=True)
    return MadeUpImage(root)


def test_pip_check_passes_where_every_requirement_is_met(with_pip: MadeUpImage) -> None:
    check = packages.check_pip(with_pip.image)
    assert check.status is Status.PASS, check


def test_pip_check_fails_where_one_is_not(with_pip: MadeUpImage) -> None:
    with_pip.add_package("needy", "1.0", "Requires-Dist: not-there>=2")
    try:
        check = packages.check_pip(with_pip.image)
    finally:
        with_pip.remove_package("needy")
    assert check.status is Status.FAIL
    assert "needy 1.0 requires not-there" in check.found


def test_pip_check_without_an_interpreter_is_not_run(tmp_path: Path) -> None:
    assert packages.check_pip(Image(tmp_path, {})).status is Status.NOT_RUN
