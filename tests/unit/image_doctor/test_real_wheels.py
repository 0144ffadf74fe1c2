"""Real wheels from PyPI: the servers' sources are read rightly, and so are real HIP libraries."""

from __future__ import annotations

import mmap
import zipfile
from pathlib import Path

import pytest

from image_doctor.offload_bundle import read_library
from image_doctor.variable import examine
from image_servers import SERVERS
from real_wheels import cut, downloaded

CUSTOM, AITER = "VLLM_ROCM_USE_AITER_CUSTOM_AR", "VLLM_ROCM_USE_AITER"


@pytest.mark.parametrize(
    ("version", "python"),
    [
        ("0.5.5.post3", "3.10"),
        ("0.5.7", "3.10"),
        ("0.5.10", "3.10"),
        ("0.5.21", "3.10"),
        ("0.5.23", "3.12"),
    ],
)
def test_sglang_from_0_5_5_post3_on_has_the_variable_with_the_default_true(
    version: str, python: str
) -> None:
    (finding,) = examine(downloaded("sglang", version, python), SERVERS["sglang"])
    assert finding.problem is None
    assert finding.default is True
    assert [read.function for read in finding.reads] == ["dispatch_custom_allreduce"]
    assert finding.reads[0].file.endswith("device_communicators/custom_all_reduce.py")


def test_sglang_before_0_5_5_post3_has_it_not() -> None:
    (finding,) = examine(downloaded("sglang", "0.5.5.post2", "3.10"), SERVERS["sglang"])
    assert finding.problem == "nothing reads SGLANG_USE_AITER_AR"


def vllm(version: str) -> Path:
    # The two that read the variables and decide by them; its wheels have several 100 MB.
    return cut("vllm", version, "vllm/__init__.py", "vllm/envs.py", "vllm/_aiter_ops.py")


@pytest.mark.parametrize("version", ["0.25.1", "0.27.1", "0.33.0"])
def test_vllm_from_0_25_on_has_both_variables_and_takes_aiters_where_both_are_true(
    version: str,
) -> None:
    custom, aiter = examine(vllm(version), SERVERS["vllm"])
    assert (custom.variable, custom.problem, custom.default) == (CUSTOM, None, True)
    assert (aiter.variable, aiter.problem, aiter.default) == (AITER, None, False)
    # A lambda of envs.py, a class's body, and a method that reads them anew.
    assert {read.function for read in custom.reads} == {None, "refresh_env_variables"}
    assert {read.file for read in custom.reads} == {"vllm/envs.py", "vllm/_aiter_ops.py"}


@pytest.mark.parametrize("returned", ["cls._AITER_ENABLED", "cls._CUSTOM_ALL_REDUCE_ENABLED"])
def test_of_real_vllm_each_variable_is_missed_where_it_is_no_longer_asked(
    tmp_path: Path, returned: str
) -> None:
    with zipfile.ZipFile(vllm("0.27.1")) as opened:
        opened.extractall(tmp_path)
    ops = tmp_path / "vllm" / "_aiter_ops.py"
    both = "return cls._AITER_ENABLED and cls._CUSTOM_ALL_REDUCE_ENABLED"
    text = ops.read_text()
    assert text.count(both) == 1
    ops.write_text(text.replace(both, f"return {returned}"))
    lost = [f.variable for f in examine(tmp_path, SERVERS["vllm"]) if f.problem]
    assert lost == [CUSTOM if returned == "cls._AITER_ENABLED" else AITER]


def test_vllm_0_18_1_has_only_the_variable_for_all_of_aiter() -> None:
    custom, aiter = examine(vllm("0.18.1"), SERVERS["vllm"])
    assert custom.problem == f"nothing reads {CUSTOM}"
    assert aiter.reads


@pytest.mark.parametrize("library", ["rocm64", "rocm70", "rocm72"])
def test_the_code_objects_of_a_real_hip_library_are_all_read(tmp_path: Path, library: str) -> None:
    # Compiled by AMD's clang for many GPUs, compressed in two versions of the format.
    wheel = downloaded("bitsandbytes", "0.50.2", "3.12")
    with zipfile.ZipFile(wheel) as opened:
        path = opened.extract(f"bitsandbytes/libbitsandbytes_{library}.so", tmp_path)
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as so:
        objects = read_library(so)
    targets = {code_object.gfx for code_object in objects}
    assert {"gfx90a", "gfx942", "gfx1100", "gfx1201"} < targets
    assert ("gfx950" in targets) is (library != "rocm64")
    assert [o for o in objects if o.gfx != o.elf_gfx] == []
    assert len(objects) == 2 * len(targets)  # two translation units
