"""AMD's own HIP runtimes, on emulated GPUs, answer every measured call as they did."""

from __future__ import annotations

import shlex
import subprocess
from typing import Protocol

import pytest

from verdict import judge

TOOL = "/project/tests/conformance"
DATA = "/project/tests/data"
KERNELS = "/tmp/conformance.kernels.so"
TABLES = ("capture-matrix", "more-calls")


class Runtime(Protocol):
    lib: str
    hiprtc: str
    environment: dict[str, str]
    pinned: bool


class Laboratory(Protocol):
    def runtime(self, version: str) -> Runtime: ...

    def run(
        self, *words: str, env: dict[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]: ...


def measure(
    laboratory: Laboratory, version: str, expected: str
) -> subprocess.CompletedProcess[str]:
    """Measures a version's runtime against the tables of the version that is expected."""
    runtime = laboratory.runtime(version)
    make = ["make", "-s", "-C", "/project/emulation", "kernels"]
    make += [f"SOURCE={TOOL}/kernels.cpp", f"OUTPUT={KERNELS}"]
    words = ["python3", f"{TOOL}/conformance.py", "--lib", runtime.lib, "--hiprtc", runtime.hiprtc]
    for table in TABLES:
        words += ["--expected", f"{DATA}/{table}-hip-{expected}.tsv"]
    # In one command: nothing says that a file outlives it.
    script = f"{shlex.join(make)} && exec {shlex.join(words)}"
    environment = {**runtime.environment, "HSA_STANDIN_KERNELS": KERNELS}
    return laboratory.run("bash", "-c", script, env=environment, timeout=120)


@pytest.mark.parametrize("version", ["7.2.4", "6.4.3"])
def test_no_row_of_amds_runtime_has_changed(laboratory: Laboratory, version: str) -> None:
    ran = measure(laboratory, version, version)
    judge(ran, laboratory.runtime(version).pinned)
    # Whether rows changed or not: the imitation lacks some of these calls.
    assert "1514 rows: " in ran.stdout
    assert "the library has no" not in ran.stdout


def test_amds_two_runtimes_are_told_apart(laboratory: Laboratory) -> None:
    ran = measure(laboratory, "6.4.3", "7.2.4")
    assert ran.returncode == 1, ran.stderr
    assert "1514 rows: " in ran.stdout
    # The first of the two published bugs, in a call that 6.4.3 checks.
    query = "non-blocking  GLOBAL        THREAD_LOCAL   StreamQuery(other stream)"
    assert f"{query}: 900, dead (901) instead of 0, survived" in ran.stdout
