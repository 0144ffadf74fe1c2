"""The HIP stand-in against the tables measured on AMD's HIP 7.2.4, and under the sanitizers.

These tests need a compiler and run inside the stand-in base: tests/pipeline starts them there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Make

ASK = """
import ctypes, sys
hip = ctypes.CDLL(sys.argv[1])
version, count = ctypes.c_int(-1), ctypes.c_int(-1)
hip.hipRuntimeGetVersion(ctypes.byref(version))
code = hip.hipGetDeviceCount(ctypes.byref(count))
print(version.value, code, count.value)
"""
KILL = """
import ctypes, sys
hip = ctypes.CDLL(sys.argv[1])
stream, graph, status = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_int(-1)
hip.hipStreamCreateWithFlags(ctypes.byref(stream), 1)
hip.hipStreamBeginCapture(stream, 0)
hip.hipDeviceSynchronize()
ended = hip.hipStreamEndCapture(stream, ctypes.byref(graph))
hip.hipStreamIsCapturing(stream, ctypes.byref(status))
print(ended, status.value)
"""
FORKED_GRAPH = """
import ctypes, sys
from ctypes import byref, c_size_t, c_void_p
from capture_cases import Hip
hip, kernels = Hip(sys.argv[1]), open(sys.argv[2], "rb").read()
module = hip.make("hipModuleLoadData", kernels)
add_last = hip.make("hipModuleGetFunction", module, b"add_last")
first, second = (hip.make("hipMalloc", 64) for _ in range(2))
main, side = (hip.make("hipStreamCreateWithFlags", 1) for _ in range(2))
forked, joined = (hip.make("hipEventCreateWithFlags", 2) for _ in range(2))
large = (ctypes.c_int * 1024)(*[0] * 1023, 5)
pointer = c_void_p(second)
arguments = (c_void_p * 2)(ctypes.addressof(pointer), ctypes.addressof(large))
hip.must("hipStreamBeginCapture", main, 0)
hip.must("hipEventRecord", forked, main)
hip.must("hipStreamWaitEvent", side, forked, 0)
hip.must("hipMemsetAsync", first, 1, 64, main)
hip.must("hipMemsetAsync", second, 0, 64, side)
hip.must("hipModuleLaunchKernel", add_last, *[1] * 6, 0, side, arguments, None)
hip.must("hipEventRecord", joined, side)
hip.must("hipStreamWaitEvent", main, joined, 0)
hip.must("hipMemcpyAsync", first, second, 4, 3, main)
graph, roots, handles = c_void_p(), c_size_t(), (c_void_p * 2)()
hip.must("hipStreamEndCapture", main, byref(graph))
hip.must("hipGraphGetRootNodes", graph, None, byref(roots))
hip.must("hipGraphGetRootNodes", graph, handles, byref(roots))
executable = hip.make("hipGraphInstantiateWithFlags", graph, 0)
hip.must("hipGraphDestroy", graph)
found = (ctypes.c_int * 2)()
for _ in range(3):
    hip.must("hipMemsetAsync", first, 9, 64, main)
    hip.must("hipGraphLaunch", executable, main)
    hip.must("hipStreamSynchronize", main)
    hip.must("hipMemcpyDtoH", found, first, 8)
    print(roots.value, len(set(handles)), *found)
hip.must("hipGraphExecDestroy", executable)
for stream in (main, side):
    hip.must("hipStreamDestroy", stream)
"""
COMPILE = """
import sys
from pathlib import Path
import capture_cases
capture_cases.KERNELS = Path(sys.argv[2])
Path(sys.argv[3]).write_bytes(capture_cases.compile_kernel(sys.argv[1], "gfx942"))
"""
ADD_LAST = """
struct Large { int numbers[1024]; };
extern "C" __global__ void add_last(int* sum, Large large) { sum[0] += large.numbers[1023]; }
"""
BLOCK = """
import ctypes, sys
from capture_cases import Bench, Hip, compile_kernel
hip = Hip(sys.argv[1])
bench = Bench(hip, compile_kernel(sys.argv[2], "gfx942"))
pointer, by = ctypes.c_void_p(bench.counter), ctypes.c_int(1)
arguments = (ctypes.c_void_p * 2)(ctypes.addressof(pointer), ctypes.addressof(by))
for block in ((1024, 1, 1), (1025, 1, 1), (32, 32, 2), (2**16, 2**16, 1)):
    print(hip.call(
        "hipModuleLaunchKernel", bench.bump_function, 1, 1, 1, *block, 0, None, arguments, None
    ))
"""
TESTS = Path(__file__).resolve().parents[1]
TABLES = [f"{name}-hip-7.2.4.tsv" for name in ("capture-matrix", "more-calls")]
SOURCE = TESTS.parent / "rehearsal" / "hip"
DIFFERENCES = SOURCE / "hip-differences.tsv"


def ask(
    libraries: Path, script: str, *words: str, **machine: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, str(libraries / "libamdhip64.so"), *words]
    names = {f"HIP_STANDIN_{name.upper()}": value for name, value in machine.items()}
    names["PYTHONPATH"] = str(TESTS / "conformance")
    names["PATH"] = os.environ["PATH"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=names)


def conformance(libraries: Path, rocm: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(TESTS / "conformance" / "conformance.py"), "--skip-missing"]
    command += ["--lib", str(libraries / "libamdhip64.so"), *arguments]
    for table in TABLES:
        command += ["--expected", str(TESTS / "data" / table)]
    machine = {"HIP_STANDIN_ROCM": rocm, "HIP_STANDIN_DEVICES": "2"}
    environment = {**os.environ, **machine}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)


@pytest.mark.parametrize("rocm", ["7.2.1", "7.2.4"])
def test_from_7_2_1_every_row_is_that_of_amds_7_2_4(libraries: Path, rocm: str) -> None:
    ran = conformance(libraries, rocm)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1514 rows: 1429 as expected, 0 differ as listed, 85 skipped" in ran.stdout


def test_as_7_2_0_exactly_the_rows_that_are_published_differ(libraries: Path) -> None:
    ran = conformance(libraries, "7.2.0", "--differences", str(DIFFERENCES))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1514 rows: 1331 as expected, 98 differ as listed, 85 skipped" in ran.stdout


def test_as_7_2_0_nothing_passes_for_7_2_4(libraries: Path) -> None:
    ran = conformance(libraries, "7.2.0")
    assert ran.returncode == 1
    assert "98 are not as expected" in ran.stdout


def test_a_graph_with_two_roots_replays_fills_copies_and_large_arguments(
    libraries: Path, tmp_path: Path
) -> None:
    source, image = tmp_path / "kernels.cpp", tmp_path / "kernels.so"
    source.write_text(ADD_LAST)
    hiprtc = str(libraries / "libhiprtc.so")
    words = [sys.executable, "-c", COMPILE, hiprtc, str(source), str(image)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS / "conformance")}
    subprocess.run(words, check=True, env=environment)
    ran = ask(libraries, FORKED_GRAPH, str(image), rocm="7.2.0", devices="1")
    assert ran.stdout == "2 2 5 16843009\n" * 3, ran.stderr


def test_a_block_of_more_than_1024_threads_is_refused(libraries: Path) -> None:
    hiprtc = str(libraries / "libhiprtc.so")
    assert ask(libraries, BLOCK, hiprtc, rocm="7.2.0", devices="1").stdout == "0\n1\n1\n1\n"


@pytest.mark.parametrize(
    ("rocm", "integer"), [("7.2.0", 70226015), ("7.2.1", 70253211), ("7.2.4-70", 70253211)]
)
def test_the_published_version_integers_are_answered(
    libraries: Path, rocm: str, integer: int
) -> None:
    assert ask(libraries, ASK, rocm=rocm, devices="2").stdout == f"{integer} 0 2\n"


def test_a_newer_version_never_has_a_smaller_integer(libraries: Path) -> None:
    versions = ["7.1.1", "7.2.0", "7.2.1", "7.2.3", "7.2.5", "7.14.0"]
    integers = [int(ask(libraries, ASK, rocm=rocm).stdout.split()[0]) for rocm in versions]
    assert integers == sorted(integers)
    assert [number >= 70253211 for number in integers] == [False] * 2 + [True] * 4


@pytest.mark.parametrize(
    "bad", [{"devices": "two"}, {"devices": "17"}, {"gfx": "mi300"}, {"rocm": "latest"}]
)
def test_a_bad_value_is_one_line_and_no_device(libraries: Path, bad: dict[str, str]) -> None:
    ran = ask(libraries, ASK, **{"rocm": "7.2.2", "devices": "2", **bad})
    assert ran.returncode == 0
    assert ran.stdout.split()[1:] == ["100", "0"]
    assert ran.stderr.count("\n") == 1
    assert str(*bad.values()) in ran.stderr


@pytest.mark.parametrize("rocm", ["7.2.0", "7.2.4"])
def test_a_dead_capture_leaves_its_stream_invalidated(libraries: Path, rocm: str) -> None:
    assert ask(libraries, KILL, rocm=rocm, devices="1").stdout == "901 2\n"


@pytest.mark.parametrize("sanitizer", ["asan", "tsan"])
def test_many_threads_at_once_are_clean_under(sanitizer: str, make_hip: Make) -> None:
    ran = make_hip(f"check-{sanitizer}")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "all sums are exact" in ran.stdout
