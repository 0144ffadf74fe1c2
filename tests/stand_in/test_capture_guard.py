"""The capture guard where only the HIP stand-in can show it: 7.2.0's published bugs, and races.

No binary of 7.2.0 is to be had, and ThreadSanitizer needs a runtime that is compiled with it. On
AMD's own runtimes tests/emulation/test_capture_guard.py runs the same programs. These tests need a
compiler and run inside the stand-in base: tests/pipeline starts them there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Make

PROJECT = Path(__file__).resolve().parents[2]
GUARD = PROJECT / "images" / "rootfs" / "opt" / "rocm-images" / "capture_guard"
PROGRAMS = Path(__file__).parent / "capture_guard"
SCENARIOS = re.findall(r"SCENARIO\((\w+)\)[,;]", (PROGRAMS / "scenarios.c").read_text())


def compiled(*words: str | Path) -> None:
    command = ["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-g", "-pthread", "-Wall", "-Wextra",
               "-Werror", *words]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def guarded(here: Path, *options: str) -> Path:
    """The guard beside a stand-in, with the options that this is compiled with."""
    guard = here / "libcapture_guard.so"
    done = subprocess.run([GUARD / "build", guard, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return here


@pytest.fixture(scope="module")
def release(libraries: Path) -> Path:
    """A program that knows nothing of the guard, linked to the stand-in as torch is to HIP."""
    here = guarded(libraries)
    compiled(PROGRAMS / "scenarios.c", "-o", here / "scenarios", f"-L{here}", "-lamdhip64",
             f"-Wl,-rpath,{here}", "-ldl")  # fmt: skip
    return here


@pytest.fixture(scope="module")
def sanitized(hip: Path, make_hip: Make) -> Path:
    """The same under ThreadSanitizer, linked to the guard: it would not let itself be preloaded."""
    made = make_hip("tsan")
    assert made.returncode == 0, made.stderr
    here = guarded(hip / "tsan", "-fsanitize=thread")
    for name in ("scenarios", "hammer"):
        compiled("-fsanitize=thread", PROGRAMS / f"{name}.c", "-o", here / name, f"-L{here}",
                 "-Wl,--no-as-needed", "-lcapture_guard", "-lamdhip64", f"-Wl,-rpath,{here}",
                 "-ldl")  # fmt: skip
    return here


def ran(
    program: Path, *words: str, preload: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    machine = {"HIP_STANDIN_ROCM": "7.2.0", "HIP_STANDIN_DEVICES": "1"}
    # The longest time that a wait is held; short where a scenario waits for it to be over.
    machine["CAPTURE_GUARD_WAIT_SECONDS"] = "1" if "joined" in " ".join(words) else "30"
    loaded = {"LD_PRELOAD": str(preload)} if preload else {}
    return subprocess.run(
        [str(program), *words],
        env={"PATH": os.environ["PATH"], **machine, **loaded, **environment},
        capture_output=True,
        text=True,
        timeout=180,
    )


def test_without_the_guard_another_threads_query_kills_the_capture(release: Path) -> None:
    done = ran(release / "scenarios", "queries")
    # Each query's status, and EndCapture's: 900 and 907 are the two bugs.
    assert done.stdout == "900 907 900 900 901\n", done.stderr


def test_with_the_guard_it_is_answered_not_ready_and_the_capture_lives(release: Path) -> None:
    done = ran(release / "scenarios", "queries", preload=release / "libcapture_guard.so")
    assert done.stdout == "600 600 600 600 0\n", done.stderr


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_is_clean_under_the_thread_sanitizer(sanitized: Path, scenario: str) -> None:
    done = ran(sanitized / "scenarios", scenario, TSAN_OPTIONS="halt_on_error=1")
    assert done.returncode == 0, done.stdout + done.stderr


def test_concurrent_captures_under_eight_threads_are_clean_under_the_thread_sanitizer(
    sanitized: Path,
) -> None:
    done = ran(sanitized / "hammer", "100", "8", "3", TSAN_OPTIONS="halt_on_error=1")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("300 of 300 captures lived")


def test_a_call_without_any_runtime_is_an_error_and_one_line(release: Path, tmp_path: Path) -> None:
    # Nothing that is linked to a runtime can come here: only the guard itself has the symbol.
    source = tmp_path / "alone.c"
    source.write_text(
        "int hipEventQuery(void *); int main(void) { return hipEventQuery(0) != 500; }"
    )
    guard = release / "libcapture_guard.so"
    compiled(source, "-o", tmp_path / "alone", guard, f"-Wl,-rpath,{release}")
    done = ran(tmp_path / "alone")
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert "no libamdhip64 with hipEventQuery is loaded" in done.stderr


def test_the_same_source_compiles_for_the_names_of_cuda(tmp_path: Path) -> None:
    guard = tmp_path / "guard.so"
    subprocess.run([GUARD / "build", guard, "-DCAPTURE_GUARD_CUDA"], check=True)
    words = ["nm", "--dynamic", "--defined-only", str(guard)]
    names = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert "cudaEventQuery" in names
    assert "hip" not in names


def test_the_guard_adds_less_than_50_ns_to_a_query_while_no_capture_is_open() -> None:
    words = [sys.executable, str(PROJECT / "benchmarks" / "capture_guard.py")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
