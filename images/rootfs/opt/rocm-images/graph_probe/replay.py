"""Carries out the replay cases in this process: captures, launches behind work, compares.

All copies and fills are asynchronous, on streams that do not wait for the null stream.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from ctypes import byref, c_int, c_uint32, c_void_p
from typing import NamedTuple

from graph_probe import replay_model as model
from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.replay_cases import CASES, ReplaySeen, Wrong
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

REPLAYS = 8
CASE_SECONDS = 20
"""A case takes less than one; what takes longer does not come back."""
_COUNT = 16
_BYTES = 4 * _COUNT
# Of arithmetic that cannot be shortened: some tenths of a millisecond, on a GPU and on a CPU.
_ROUNDS, _WORKS = 4000, 3
# 8 times as many launches with 4 KiB of arguments are 3 MiB: the runtime's pools come round.
_CROWD = 96
_POOL_GRAPHS = 4
_PATTERN = 0x11
_KERNELS = ["k_mix", "k_mix_two", "k_work", "k_mix_words"]


class _ManyWords(ctypes.Structure):
    """struct Words of kernels.cpp."""

    _fields_ = (("word", c_uint32 * 1000),)


class Scene(NamedTuple):
    """What a case captured: graphs to launch in this order, and what each result must then be.

    A result is a buffer and a function of what the launch stream's work left in its buffer.
    """

    graphs: list[int]
    results: list[tuple[int, Callable[[Words], Words]]]


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
        status = self._launch(self._kernels[kernel], 1, 1, 1, _COUNT, 1, 1, 0, stream, packed, None)
        if status != SUCCESS:
            raise ProbeError(
                ExitCode.RUNTIME_CALL_FAILED, f"A launch of {kernel} returned {error_name(status)}."
            )

    def mix(self, stream: int, to: int, source: int, by: int) -> None:
        self.launch("k_mix", stream, c_void_p(to), c_void_p(source), c_int(_COUNT), c_uint32(by))

    def mix_two(self, stream: int, to: int, first: int, second: int) -> None:
        pointers = (c_void_p(to), c_void_p(first), c_void_p(second))
        self.launch("k_mix_two", stream, *pointers, c_int(_COUNT))

    def work(self, stream: int, to: int) -> None:
        self.launch("k_work", stream, c_void_p(to), c_int(_COUNT), c_int(_ROUNDS))

    def crowd(self) -> None:
        """Launches with large arguments on the null stream, which no case waits for."""
        buffer = self._crowd_buffer
        for _ in range(_CROWD):
            self.launch("k_mix_words", None, buffer, buffer, self._words, c_int(_COUNT))

    def copy(self, stream: int, to: int, source: int) -> None:
        self.runtime.check("MemcpyAsync", to, source, _BYTES, DEVICE_TO_DEVICE, stream)

    def fill(self, stream: int, to: int) -> None:
        self.runtime.check("MemsetAsync", to, _PATTERN, _BYTES, stream)

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
        targets = [(c_uint32 * _COUNT)() for _ in buffers]
        for target, buffer in zip(targets, buffers, strict=True):
            self.runtime.check("MemcpyAsync", target, buffer, _BYTES, DEVICE_TO_HOST, stream)
        self.runtime.check("StreamSynchronize", stream)
        return [list(target) for target in targets]


def observe(stage: Stage, number: int, other_streams: int) -> ReplaySeen:
    """Captures case `number` and replays it. Raises ProbeError where a call fails."""
    case = CASES[number]
    launch_stream, source = stage.stream(), stage.buffer()
    scene = _SCENES[case.name](stage, launch_stream, source)
    values, wrong, first = [0] * _COUNT, 0, None
    for replay in range(1, REPLAYS + 1):
        if case.crowded:
            stage.crowd()
        for _ in range(_WORKS):
            stage.work(launch_stream, source)
            values = model.work(values, _ROUNDS)
        for graph in scene.graphs:
            stage.runtime.check("GraphLaunch", graph, launch_stream)
        expected = [word for _, made in scene.results for word in made(values)]
        read = stage.read(launch_stream, [buffer for buffer, _ in scene.results])
        found = [word for words in read for word in words]
        differing = [pair for pair in zip(found, expected, strict=True) if pair[0] != pair[1]]
        wrong += bool(differing)
        if differing and first is None:
            first = Wrong(replay, *differing[0])
    return ReplaySeen(number, other_streams, REPLAYS, wrong, first)


def _chain(stage: Stage, stream: int, source: int) -> Scene:
    first, second, result = (stage.buffer() for _ in range(3))

    def nodes() -> None:
        stage.mix(stream, first, source, 9 if stage.sabotaged else 1)
        stage.mix(stream, second, first, 2)
        stage.mix(stream, result, second, 3)

    graph = stage.captured(stream, nodes)
    return Scene([graph], [(result, lambda x: model.mix(model.mix(model.mix(x, 1), 2), 3))])


def _fork(stage: Stage, stream: int, source: int) -> Scene:
    first = stage.buffer()
    return _sides(stage, stream, 3, lambda: stage.mix(stream, first, source, 7), first,
                  lambda x: model.mix(x, 7))  # fmt: skip


def _two_roots(stage: Stage, stream: int, source: int) -> Scene:
    return _sides(stage, stream, 1, lambda: None, source, list)


def _four_roots(stage: Stage, stream: int, source: int) -> Scene:
    return _sides(stage, stream, 3, lambda: None, source, list)


def _sides(
    stage: Stage,
    stream: int,
    count: int,
    before: Callable[[], None],
    source: int,
    given: Callable[[Words], Words],
) -> Scene:
    """The stream and `count` side streams, forked after `before`, each with a node of its own."""
    results = [stage.buffer() for _ in range(count + 1)]
    sides = [stage.stream() for _ in range(count)]
    joined = stage.buffer()

    def nodes() -> None:
        before()
        for side in sides:
            stage.follow(side, stream)
        for by, (on, to) in enumerate(zip([stream, *sides], results, strict=True)):
            stage.mix(on, to, source, by)
        for side in sides:
            stage.follow(stream, side)
        stage.mix_two(stream, joined, results[0], results[-1])

    def after_join(x: Words) -> Words:
        return model.mix_two(model.mix(given(x), 0), model.mix(given(x), count))

    graph = stage.captured(stream, nodes)
    made: list[tuple[int, Callable[[Words], Words]]] = [(joined, after_join)]
    for by, result in enumerate(results):
        made.append((result, lambda x, by=by: model.mix(given(x), by)))  # type: ignore[misc]
    return Scene([graph], made)


def _copy_and_memset_roots(stage: Stage, stream: int, source: int) -> Scene:
    copied, filled, mixed, result = (stage.buffer() for _ in range(4))
    copying, filling = stage.stream(), stage.stream()

    def nodes() -> None:
        stage.follow(copying, stream)
        stage.follow(filling, stream)
        stage.mix(stream, mixed, source, 5)
        stage.copy(copying, copied, source)
        stage.fill(filling, filled)
        # What the memset node must not come before: this same graph's end, one replay earlier.
        stage.mix(filling, filled, filled, 6)
        stage.follow(stream, copying)
        stage.follow(stream, filling)
        stage.mix_two(stream, result, copied, filled)

    graph = stage.captured(stream, nodes)
    return Scene(
        [graph],
        [
            (result, lambda x: model.mix_two(x, model.mix(_pattern(), 6))),
            (mixed, lambda x: model.mix(x, 5)),
        ],
    )


def _memset(stage: Stage, stream: int, source: int) -> Scene:
    filled, result = stage.buffer(), stage.buffer()

    def nodes() -> None:
        stage.fill(stream, filled)
        stage.mix(stream, filled, filled, 4)
        stage.mix_two(stream, result, source, filled)

    graph = stage.captured(stream, nodes)
    expected = model.mix(_pattern(), 4)
    return Scene([graph], [(result, lambda x: model.mix_two(x, expected))])


def _copy(stage: Stage, stream: int, source: int) -> Scene:
    first, second, result = (stage.buffer() for _ in range(3))

    def nodes() -> None:
        stage.copy(stream, first, source)
        stage.mix(stream, second, first, 8)
        stage.copy(stream, result, second)

    return Scene([stage.captured(stream, nodes)], [(result, lambda x: model.mix(x, 8))])


def _pool(stage: Stage, stream: int, source: int) -> Scene:
    """As a server has it: a graph a batch size, all in one memory pool."""
    pool = [stage.buffer() for _ in range(3)]
    side = stage.stream()
    scene = Scene([], [])
    for number in range(_POOL_GRAPHS):
        result = stage.buffer()

        def nodes(by: int = number, to: int = result) -> None:
            stage.mix(stream, pool[0], source, by)
            stage.follow(side, stream)
            stage.mix(stream, pool[1], pool[0], by + 1)
            stage.mix(side, pool[2], pool[0], by + 2)
            stage.follow(stream, side)
            stage.mix_two(stream, to, pool[1], pool[2])

        def expected(x: Words, by: int = number) -> Words:
            first = model.mix(x, by)
            return model.mix_two(model.mix(first, by + 1), model.mix(first, by + 2))

        scene.graphs.append(stage.captured(stream, nodes))
        scene.results.append((result, expected))
    return scene


def _pattern() -> Words:
    return [_PATTERN * 0x01010101] * _COUNT


_SCENES: dict[str, Callable[[Stage, int, int], Scene]] = {
    "chain": _chain,
    "fork": _fork,
    "two-roots": _two_roots,
    "four-roots": _four_roots,
    "copy-and-memset-roots": _copy_and_memset_roots,
    "memset": _memset,
    "copy": _copy,
    "pool": _pool,
}
