"""An image that holds vLLM is examined as vLLM's: its distributions, kernels and variables."""

from __future__ import annotations

import shutil

import pytest

from image_doctor import all_checks
from image_doctor.check import Check, Status
from made_up_image import TRITON, MadeUpImage
from stand_in_code_objects import bundle_for

SET = {"VLLM_ROCM_USE_AITER": "0", "HIP_FORCE_DEV_KERNARG": "1"}
VERSIONS = {"vllm": "0.18.1", "amd-aiter": "0.1.10.post2", "flash-attn": "2.8.3"}


@pytest.fixture
def vllm(made: MadeUpImage) -> MadeUpImage:
    for name in ("sglang", "amd-aiter", "sglang-kernel", "fast-hadamard-transform"):
        made.remove_package(name)
    for folder in ("sglang", "sgl_kernel"):
        shutil.rmtree(made.site / folder)
    (made.site / "fast_hadamard_transform_cuda.cpython.so").unlink()
    for name, version in VERSIONS.items():
        made.add_package(name, version)
    (made.site / "vllm" / "vllm_flash_attn").mkdir(parents=True)
    (made.site / "vllm" / "__init__.py").touch()
    for name in ("vllm/_C.abi3.so", "vllm/_rocm_C.abi3.so", "flash_attn_2_cuda.cpython-310.so"):
        made.set_kernel(name, bundle_for(["gfx942"]))
    # It holds no code for a GPU.
    made.set_kernel("vllm/cumem_allocator.abi3.so", None)
    made.environment = {"PATH": made.environment["PATH"], **SET}
    made.describe(
        cell="vllm-942-rocm7.2.2",
        server="vllm",
        versions=VERSIONS,
        packages={"triton": TRITON},
        env=SET,
    )
    return made


def checks(made: MadeUpImage) -> dict[str, Check]:
    return {check.name: check for check in all_checks.run(made.image)}


def test_an_image_that_fits_passes_every_check_but_pip(vllm: MadeUpImage) -> None:
    found = checks(vllm)
    assert found.pop("pip-check").status is Status.NOT_RUN  # there is no interpreter
    assert {name: one.found for name, one in found.items() if one.status is not Status.PASS} == {}
    assert found["versions"].found.startswith("vllm 0.18.1, amd-aiter 0.1.10.post2, flash-attn 2.8")
    assert "2 in 2 libraries of vLLM" in found["code-objects"].found
    assert "1 in 1 library of flash-attention" in found["code-objects"].found


@pytest.mark.parametrize("library", ["vllm/_rocm_C.abi3.so", "flash_attn_2_cuda.cpython-310.so"])
def test_kernels_for_another_gpu_are_found_in_its_own_libraries(
    vllm: MadeUpImage, library: str
) -> None:
    vllm.set_kernel(library, bundle_for(["gfx950"]))
    check = checks(vllm)["code-objects"]
    assert check.status is Status.FAIL
    assert library in check.found


def test_a_distribution_of_it_that_is_missing_is_named(vllm: MadeUpImage) -> None:
    vllm.remove_package("flash-attn")
    check = checks(vllm)["versions"]
    assert check.status is Status.FAIL
    assert "flash-attn is not installed, image.json says 2.8.3" in check.found


def test_libraries_of_it_that_lack_what_they_need_are_named(vllm: MadeUpImage) -> None:
    vllm.set_kernel("vllm/_C.abi3.so", bundle_for(["gfx942"]), needs=["libnowhere.so.1"])
    check = checks(vllm)["shared-libraries"]
    assert check.status is Status.FAIL
    assert "libnowhere.so.1 is not found" in check.found
