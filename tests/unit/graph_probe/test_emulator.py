"""The emulator is known by what the mapped HSA runtime itself exports."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "image_doctor"))

import shared_objects

ASK = """
import ctypes, json, sys
ctypes.CDLL(sys.argv[1])
from graph_probe.emulator import mapped_emulator
print(json.dumps(mapped_emulator()))
"""


def asked(library: Path, packages: str) -> list[str] | None:
    """What a process that has loaded this library finds beneath it."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, str(library)],
        env={"PYTHONPATH": packages},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    found: list[str] | None = json.loads(done.stdout)
    return found


def test_the_emulator_is_found_by_its_symbol_with_its_hash_and_version(
    tmp_path: Path, packages: str
) -> None:
    library = tmp_path / "libhsa-runtime64.so.1"
    shared_objects.write(library, soname=library.name, emulator_version="1.2 gfx942")
    digest = hashlib.sha256(library.read_bytes()).hexdigest()
    assert asked(library, packages) == [str(library), digest, "1.2 gfx942"]


@pytest.mark.parametrize("name", ["libhsa-runtime64.so.1", "libother.so.1"])
def test_amds_own_hsa_runtime_is_no_emulator_and_no_other_file_is(
    name: str, tmp_path: Path, packages: str
) -> None:
    library = tmp_path / name
    version = "1.2" if name.startswith("libother") else None
    shared_objects.write(library, soname=name, emulator_version=version)
    assert asked(library, packages) is None
