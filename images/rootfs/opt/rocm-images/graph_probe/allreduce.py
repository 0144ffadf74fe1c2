"""The peer-access all-reduce: its memory, the peers' access to it, and who waited for whom."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import byref, c_int
from typing import NamedTuple

from graph_probe import model
from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.runtime import PEER_ACCESS_ALREADY_ENABLED, SUCCESS, Runtime, error_name

# Of a rank's own memory: some seconds on a GPU, longer than any launch of a peer is late.
MAXIMUM_POLLS = 1 << 22

_FLAGS_OFFSET, _FLAG_BYTES = 256, 128
_UNCACHED = 3  # hipDeviceMallocUncached


class Wait(NamedTuple):
    """`rank` gave up waiting for `missing` in all-reduce `number`."""

    rank: int
    missing: int
    number: int


def data_offset(ranks: int) -> int:
    """Bytes of a block before its two buffers: the counter, and a flag in a line of its own."""
    return _FLAGS_OFFSET + ranks * _FLAG_BYTES


def block_bytes(ranks: int, batch_capacity: int) -> int:
    return data_offset(ranks) + 2 * batch_capacity * model.HIDDEN * 4


def allocate_block(runtime: Runtime, size: int) -> int:
    """Memory on the current device that peers write while a kernel here polls it."""
    if runtime.has("MallocUncached"):
        return runtime.create("MallocUncached", size, _UNCACHED)
    return runtime.create("Malloc", size)


def enable_peer_access(runtime: Runtime, devices: Sequence[int]) -> None:
    """Lets every device reach every other. Raises ProbeError where a pair cannot."""
    pairs = [(here, there) for here in devices for there in devices if here != there]
    for here, there in pairs:
        possible = c_int(0)
        runtime.check("DeviceCanAccessPeer", byref(possible), here, there)
        if not possible.value:
            raise ProbeError(
                ExitCode.RUNTIME_CALL_FAILED,
                f"Device {here} cannot access the memory of device {there}. Check the links "
                "between the GPUs and the host's IOMMU, or probe fewer with --devices.",
            )
        runtime.check("SetDevice", here)
        status = runtime.status("DeviceEnablePeerAccess", there, 0)
        if status not in (SUCCESS, PEER_ACCESS_ALREADY_ENABLED):
            raise ProbeError(
                ExitCode.RUNTIME_CALL_FAILED,
                f"Device {here} was refused access to device {there}: {error_name(status)}.",
            )
    runtime.status("GetLastError")


def timeout_sentence(waits: Sequence[Wait], where: str) -> str:
    """Names who waits for whom; ranks that wait for the same peer are named together."""
    missing: dict[tuple[int, int], list[int]] = {}
    for wait in waits:
        missing.setdefault((wait.missing, wait.number), []).append(wait.rank)
    parts = []
    for (peer, number), ranks in missing.items():
        who = "rank" if len(ranks) == 1 else "ranks"
        verb = "waits" if len(ranks) == 1 else "wait"
        names = ", ".join(map(str, ranks))
        parts.append(f"{who} {names} {verb} for rank {peer} in all-reduce {number}")
    return f"An all-reduce timed out ({where}): {'; '.join(parts)}."


def wait_of(rank: int, words: ctypes.Array[c_int]) -> Wait | None:
    """Reads the two words of State.timeout."""
    return Wait(rank, words[0] - 1, words[1]) if words[0] else None
