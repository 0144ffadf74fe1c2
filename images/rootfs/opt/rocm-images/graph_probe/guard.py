"""The capture guard in this process, if it is preloaded: its path, its functions, what it holds.

The guard stands before the runtime for callers that were linked to it, as torch is: the linker
looks in preloaded libraries first. ctypes looks in the runtime itself and would pass the guard by,
so what is to be asked as torch asks it is looked up in the global scope, where the linker looks.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

from graph_probe.library import mapped_files

PATH = "/opt/rocm-images/lib/libcapture_guard.so"
_COUNTS, _WAITING = 5, 4


def loaded_guard() -> str | None:
    """The path of the guard that is loaded in this process; None where none is."""
    mapped = mapped_files(Path("/proc/self/maps").read_text(), Path(PATH).stem)
    return mapped[0].path if mapped and as_linked("capture_guard_counts") is not None else None


def as_linked(symbol: str) -> Any | None:
    """What a caller that was linked to `symbol` would get of preloaded libraries, else None."""
    return getattr(ctypes.CDLL(None), symbol, None)


def calls_waiting() -> int:
    """How many blocking calls the guard holds back right now; 0 where it is not loaded."""
    function = as_linked("capture_guard_counts")
    counts = (ctypes.c_ulong * _COUNTS)()
    if function is None:
        return 0
    function.argtypes, function.restype = (ctypes.POINTER(ctypes.c_ulong),), None
    function(counts)
    return int(counts[_WAITING])
