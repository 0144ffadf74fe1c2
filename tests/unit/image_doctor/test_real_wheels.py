"""Real wheels from PyPI: SGLang's source is read rightly, and so are real HIP libraries."""

from __future__ import annotations

import mmap
import zipfile
from pathlib import Path

import pytest

from image_doctor.offload_bundle import read_library
from image_doctor.variable import examine
from image_servers import SERVERS
from real_wheels import downloaded


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
    finding = examine(downloaded("sglang", version, python), SERVERS["sglang"])
    assert finding.problem is None
    assert finding.default is True
    assert [read.function for read in finding.reads] == ["dispatch_custom_allreduce"]
    assert finding.reads[0].file.endswith("device_communicators/custom_all_reduce.py")


def test_sglang_before_0_5_5_post3_has_it_not() -> None:
    finding = examine(downloaded("sglang", "0.5.5.post2", "3.10"), SERVERS["sglang"])
    assert finding.problem == "nothing reads SGLANG_USE_AITER_AR"


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
