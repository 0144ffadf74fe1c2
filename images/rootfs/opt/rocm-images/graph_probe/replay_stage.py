"""What the replay cases use in one process: its streams, buffers, kernels and captures.

All copies and fills are asynchronous, on streams that do not wait for the null stream.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from ctypes import byref, c_int, c_uint32, c_void_p

from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.replay_model import Words
from graph_probe.runtime import (
    DEVICE_TO_DEVICE,
    DEVICE_TO_HOST,
    EVENT_DISABLE_TIMING,
    GLOBAL,
    STREAM_NON_BLOCKING,
    SUCCESS,
    Runtime,
    error_name,
)

COUNT = 16
"""Words of each buffer."""
PATTERN = 0x11
"""The byte that memset nodes fill with."""
ROUNDS = 4000
"""Of arithmetic that cannot be shortened: some tenths of a millisecond, on a GPU and on a CPU."""
_BYTES = 4 * COUNT
# 8 times as many launches with 4 KiB of arguments are 3 MiB: the runtime's pools come round.
_CROWD = 96
_KERNELS = ["k_mix", "k_mix_two", "k_work", "k_mix_words"]


class _ManyWords(ctypes.Structure):
    """struct Words of kernels.cpp."""

    _fields_ = (("word", c_uint32 * 1000),)


class Stage:
    """The streams, buffers and kernels of one process; `other_streams` are made and used first."""

    def __init__(
        self,
        runtime: Runtime,
        code: ctypes.Array[ctypes.c_char],
        other_streams: int,
        sabotaged: bool = False,
    ) -> None:
        self.runtime = runtime
        self.sabotaged = sabotaged
        self._kernels = runtime.load_kernels(code, _KERNELS)
        self._launch = runtime.function("LaunchKernel")
        self._set_up = self.stream()
        for _ in range(other_streams):
            buffer = self.buffer()
            self.mix(self.stream(), buffer, buffer, 1)
        self._crowd_buffer = c_void_p(self.buffer())
        self._words = _ManyWords((c_uint32 * 1000)(*[0x77777777] * 1000))

    def stream(self) -> int:
        return self.runtime.create("StreamCreateWithFlags", STREAM_NON_BLOCKING)

    def buffer(self) -> int:
        """Some words of the device, all zero."""
        made = self.runtime.create("Malloc", _BYTES)
        self.runtime.check("MemsetAsync", made, 0, _BYTES, self._set_up)
        self.runtime.check("StreamSynchronize", self._set_up)
        return made

    def launch(self, kernel: str, stream: int | None, *values: object) -> None:
        addresses = [ctypes.cast(byref(value), c_void_p) for value in values]  # type: ignore[arg-type]
        packed = (c_void_p * len(values))(*addresses)
        status = self._launch(self._kernels[kernel], 1, 1, 1, COUNT, 1, 1, 0, stream, packed, None)
        if status != SUCCESS:
            raise ProbeError(
                ExitCode.RUNTIME_CALL_FAILED, f"A launch of {kernel} returned {error_name(status)}."
            )

    def mix(self, stream: int, to: int, source: int, by: int) -> None:
        self.launch("k_mix", stream, c_void_p(to), c_void_p(source), c_int(COUNT), c_uint32(by))

    def mix_two(self, stream: int, to: int, first: int, second: int) -> None:
        pointers = (c_void_p(to), c_void_p(first), c_void_p(second))
        self.launch("k_mix_two", stream, *pointers, c_int(COUNT))

    def work(self, stream: int, to: int) -> None:
        self.launch("k_work", stream, c_void_p(to), c_int(COUNT), c_int(ROUNDS))

    def crowd(self) -> None:
        """Launches with large arguments on the null stream, which no case waits for."""
        buffer = self._crowd_buffer
        for _ in range(_CROWD):
            self.launch("k_mix_words", None, buffer, buffer, self._words, c_int(COUNT))

    def copy(self, stream: int, to: int, source: int) -> None:
        self.runtime.check("MemcpyAsync", to, source, _BYTES, DEVICE_TO_DEVICE, stream)

    def fill(self, stream: int, to: int) -> None:
        self.runtime.check("MemsetAsync", to, PATTERN, _BYTES, stream)

    def follow(self, waits: int, first: int) -> None:
        """Has one stream wait for what the other has so far."""
        event = self.runtime.create("EventCreateWithFlags", EVENT_DISABLE_TIMING)
        self.runtime.check("EventRecord", event, first)
        self.runtime.check("StreamWaitEvent", waits, event, 0)

    def captured(self, stream: int, nodes: Callable[[], None]) -> int:
        """The executable graph of what `nodes` does on this stream and on those that follow it."""
        self.runtime.check("StreamBeginCapture", stream, GLOBAL)
        nodes()
        status, graph = self.runtime.end_capture(stream)
        if status != SUCCESS or not graph:
            raise ProbeError(
                ExitCode.CAPTURE_FAILED, f"EndCapture returned {error_name(status)} for a replay."
            )
        return self.runtime.create("GraphInstantiateWithFlags", graph, 0)

    def read(self, stream: int, buffers: Sequence[int]) -> list[Words]:
        """The words of these buffers, when everything on the stream is done."""
        targets = [(c_uint32 * COUNT)() for _ in buffers]
        for target, buffer in zip(targets, buffers, strict=True):
            self.runtime.check("MemcpyAsync", target, buffer, _BYTES, DEVICE_TO_HOST, stream)
        self.runtime.check("StreamSynchronize", stream)
        return [list(target) for target in targets]
