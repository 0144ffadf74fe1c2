"""Packs the kernels' State: its members are read from kernels.cpp, so there is one list of them."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping
from functools import lru_cache

from graph_probe.compiler import SOURCE
from graph_probe.exit_codes import ExitCode, ProbeError

MEMBER_BYTES = 8


@lru_cache(maxsize=1)
def member_names() -> tuple[str, ...]:
    """The members of struct State in kernels.cpp, in their order."""
    match = re.search(r"^struct State \{\n(.*?)^\};", SOURCE.read_text(), re.MULTILINE | re.DOTALL)
    if match is None:
        raise ProbeError(ExitCode.PROBE_DEFECT, f"{SOURCE} holds no struct State.")
    return tuple(re.findall(r"^  [\w ]+\*? (\w+);", match.group(1), re.MULTILINE))


def kernel_names() -> list[str]:
    """The names of every kernel in kernels.cpp."""
    return re.findall(r'^extern "C" __global__ void (\w+)\(', SOURCE.read_text(), re.MULTILINE)


def pack(values: Mapping[str, int]) -> ctypes.Array[ctypes.c_ulonglong]:
    """The State with these members set and all others zero, as it is copied to the device."""
    names = member_names()
    unknown = set(values) - set(names)
    if unknown:
        raise ProbeError(
            ExitCode.PROBE_DEFECT, f"struct State in {SOURCE} has no member {sorted(unknown)[0]}."
        )
    return (ctypes.c_ulonglong * len(names))(*(values.get(name, 0) for name in names))
