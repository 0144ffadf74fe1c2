"""The HIP stand-in, compiled once for all tests of this folder: each variant in a folder."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "rehearsal" / "hip"
Make = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def hip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make_hip` makes into: release/, asan/ and tsan/."""
    return tmp_path_factory.mktemp("hip")


@pytest.fixture(scope="session")
def make_hip(hip: Path) -> Make:
    """Makes a target of the stand-in's, as far as no test before has made it."""

    def make(target: str) -> subprocess.CompletedProcess[str]:
        command = ["make", "-s", "-j2", "-C", str(SOURCE), target, f"BUILD={hip}"]
        return subprocess.run(command, capture_output=True, text=True)

    return make


@pytest.fixture(scope="session")
def libraries(hip: Path, make_hip: Make) -> Path:
    """libamdhip64 and libhiprtc as the base has them."""
    made = make_hip("all")
    assert made.returncode == 0, made.stderr
    return hip / "release"
