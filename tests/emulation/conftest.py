"""The laboratory, for all tests of this folder: AMD's own HIP runtimes on emulated GPUs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from surroundings import settle

from rehearsal.laboratory import Laboratory
from rehearsal.laboratory import laboratory as started
from rehearsal.stand_ins import Rehearsal

settle(machine=True)

ENGINE = Path(__file__).resolve().parents[2] / "rehearsal" / "engine.py"


@pytest.fixture(scope="session")
def laboratory() -> Iterator[Laboratory]:
    if Rehearsal().found_engine() is None:
        # In a process of its own, which the engine outlives.
        subprocess.run([sys.executable, ENGINE, "start"], check=True)
    with started(Rehearsal().with_emulator()) as there:
        yield there
