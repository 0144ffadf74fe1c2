"""The HIP stand-in against the measured capture matrix, and under the sanitizers.

These tests need a compiler and run inside the stand-in base: tests/pipeline starts them there.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
SOURCE = Path(__file__).resolve().parents[2] / "rehearsal" / "hip"
DIFFERENCES = SOURCE / "hip-differences.tsv"


def make(target: str, build: Path) -> subprocess.CompletedProcess[str]:
    command = ["make", "-s", "-j2", "-C", str(SOURCE), target, f"BUILD={build}"]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hip")
    made = make("all", folder)
    assert made.returncode == 0, made.stderr
    return folder


def ask(build: Path, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, str(build / "release" / "libamdhip64.so")]
    names = {f"HIP_STANDIN_{name.upper()}": value for name, value in environment.items()}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=names)


def conformance(build: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    library = build / "release" / "libamdhip64.so"
    command = [sys.executable, str(SOURCE / "conformance.py"), "--lib", str(library), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("rocm", ["7.2.1", "7.2.2", "7.14.0"])
def test_from_7_2_1_every_row_is_cudas_or_a_listed_difference(build: Path, rocm: str) -> None:
    ran = conformance(build, "--rocm", rocm)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1284 rows" in ran.stdout
    assert "1203 agree with CUDA, 81 differ as listed" in ran.stdout


def test_below_7_2_1_exactly_the_rows_of_the_two_bugs_flip(build: Path) -> None:
    ran = conformance(build, "--rocm", "7.2.0")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1113 agree with CUDA, 171 differ as listed" in ran.stdout


def test_a_difference_that_is_not_listed_fails(build: Path, tmp_path: Path) -> None:
    kept = [line for line in DIFFERENCES.read_text().splitlines() if not line.startswith("<7.2.1")]
    shorter = tmp_path / "differences.tsv"
    shorter.write_text("\n".join(kept) + "\n")
    ran = conformance(build, "--rocm", "7.2.0", "--differences", str(shorter))
    assert ran.returncode == 1
    assert "90 are not as expected" in ran.stdout


def test_a_listed_difference_that_is_none_fails(build: Path, tmp_path: Path) -> None:
    longer = tmp_path / "differences.tsv"
    entry = "*\tblocking\tRELAXED\tsame\tMalloc\t900\t0\t901\tnone"
    longer.write_text(DIFFERENCES.read_text() + entry + "\n")
    ran = conformance(build, "--differences", str(longer))
    assert ran.returncode == 1
    assert "is stale" in ran.stdout


def test_a_matrix_that_cannot_be_read_is_a_sentence(build: Path, tmp_path: Path) -> None:
    ran = conformance(build, "--matrix", str(tmp_path / "missing.tsv"))
    assert ran.returncode == 2
    assert "missing.tsv cannot be read: No such file or directory." in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("rocm", "integer"), [("7.2.0", 70226015), ("7.2.1", 70253211), ("7.2.4-70", 70253211)]
)
def test_the_published_version_integers_are_answered(build: Path, rocm: str, integer: int) -> None:
    assert ask(build, ASK, rocm=rocm, devices="2").stdout == f"{integer} 0 2\n"


def test_a_newer_version_never_has_a_smaller_integer(build: Path) -> None:
    versions = ["6.4.3", "7.0.0", "7.1.1", "7.2.0", "7.2.1", "7.2.3", "7.2.5", "7.14.0", "8.0.0"]
    integers = [int(ask(build, ASK, rocm=rocm).stdout.split()[0]) for rocm in versions]
    assert integers == sorted(integers)
    assert [number >= 70253211 for number in integers] == [False] * 4 + [True] * 5


@pytest.mark.parametrize(
    "bad", [{"devices": "two"}, {"devices": "17"}, {"gfx": "mi300"}, {"rocm": "latest"}]
)
def test_a_bad_value_is_one_line_and_no_device(build: Path, bad: dict[str, str]) -> None:
    ran = ask(build, ASK, **{"rocm": "7.2.2", "devices": "2", **bad})
    assert ran.returncode == 0
    assert ran.stdout.split()[1:] == ["100", "0"]
    assert ran.stderr.count("\n") == 1
    assert str(*bad.values()) in ran.stderr


@pytest.mark.parametrize(("rocm", "status"), [("7.2.2", 2), ("7.14.0", 0)])
def test_a_dead_capture_marks_its_stream_below_7_14(build: Path, rocm: str, status: int) -> None:
    assert ask(build, KILL, rocm=rocm, devices="1").stdout == f"901 {status}\n"


@pytest.mark.parametrize("sanitizer", ["asan", "tsan"])
def test_many_threads_at_once_are_clean_under(sanitizer: str, build: Path) -> None:
    ran = make(f"check-{sanitizer}", build)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "all sums are exact" in ran.stdout
