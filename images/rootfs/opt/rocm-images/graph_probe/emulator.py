"""The emulator beneath the HIP runtime in this process, if it is there: its file and its version.

Emulated GPUs are an HSA runtime that executes on the CPU, beneath the HIP runtime of the image. The
stand-in is another thing: an imitation of that HIP runtime itself.
"""

from __future__ import annotations

import ctypes
import hashlib
from pathlib import Path
from typing import NamedTuple

from graph_probe.library import mapped_files

HSA_STEM = "libhsa-runtime64"
VERSION_SYMBOL = "hsa_standin_version"
OVERLAP = "HSA_STANDIN_OVERLAP"
"""Its variable with a seed: packets overlap where the order of a queue allows it."""


class Emulator(NamedTuple):
    """The mapped file, its sha256 in hexadecimal, and what it calls its version."""

    path: str
    sha256: str
    version: str


def mapped_emulator() -> Emulator | None:
    """None where the HSA runtime in this process is AMD's own, or where there is none."""
    for entry in mapped_files(Path("/proc/self/maps").read_text(), HSA_STEM):
        try:
            function = getattr(ctypes.CDLL(entry.path), VERSION_SYMBOL, None)
        except OSError:  # it is mapped under a name that is not there any more
            continue
        if function is not None:
            function.argtypes, function.restype = (), ctypes.c_char_p
            version = (function() or b"").decode(errors="replace")
            return Emulator(entry.path, sha256_of(entry.path), version)
    return None


def sha256_of(path: str) -> str:
    """In hexadecimal; empty where the file cannot be read."""
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()
