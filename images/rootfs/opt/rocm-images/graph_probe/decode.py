"""The graph-captured decode: prepares the ranks, captures a graph a batch size, replays, times."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from graph_probe import allreduce, model
from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.rank import Rank
from graph_probe.runtime import GLOBAL, SUCCESS, THREAD_LOCAL, Launch, Runtime, error_name
from graph_probe.sabotage import Sabotage, hang
from graph_probe.watchdog import Watchdog

_WARM_UP_PASSES = 2  # before each capture, as servers do
_REHEARSAL_STEPS = 4
_REHEARSAL_ROUND, _MEASURED_ROUND = 1, 0


class Passes(NamedTuple):
    """The tokens of one round, [rank][row][step], run eagerly and by replay, with both times."""

    eager: list[list[list[int]]]
    replay: list[list[list[int]]]
    eager_seconds: float
    replay_seconds: float


class BatchRun(NamedTuple):
    """One batch size: a short round from other prompts first, so that no replay sees old data."""

    batch: int
    rehearsal: Passes
    measured: Passes


class DecodeRun(NamedTuple):
    batches: list[BatchRun]
    watchdog: bool
    watchdog_queries: int
    capture_seconds: float


class Decode:
    """A decode over `devices`, one rank each; `report` is told what is being done."""

    def __init__(
        self,
        runtime: Runtime,
        codes: Sequence[ctypes.Array[ctypes.c_char]],
        batches: Sequence[int],
        steps: int,
        sabotage: Sabotage | None,
        report: Callable[[str], None],
        graph_steps: int = 1,
    ) -> None:
        self._runtime = runtime
        self._batches, self._steps, self._sabotage = batches, steps, sabotage
        self._report, self._graph_steps = report, graph_steps
        self._rehearsal_steps = min(steps, -(-_REHEARSAL_STEPS // graph_steps) * graph_steps)
        self._graphs: dict[tuple[int, int], int] = {}
        devices = list(range(len(codes)))
        missing = sabotage is Sabotage.MISSING_RANK
        if missing and len(codes) == 1:
            devices.append(0)  # a second rank on the only device, which never launches at all
        shape = model.Shape(max(batches), max(steps, _REHEARSAL_STEPS))
        report("preparing the ranks")
        allreduce.enable_peer_access(runtime, sorted(set(devices)))
        self._ranks = [
            Rank(runtime, codes[device], device, rank, len(devices), shape)
            for rank, device in enumerate(devices)
        ]
        for rank in self._ranks:
            rank.make_weights()
            rank.warm()
        for rank in self._ranks:
            rank.prepare(batches, [peer.block for peer in self._ranks])
        self._launching = self._ranks[: len(codes)]
        self._replaying = self._ranks[:-1] if missing else self._ranks

    def run(self, watchdog: bool) -> DecodeRun:
        """Captures all graphs, then decodes each batch size eagerly and by replay.

        Raises ProbeError: UNSAFE where the watchdog killed a capture, CAPTURE_FAILED where
        something else did, ALL_REDUCE_TIMED_OUT, RUNTIME_CALL_FAILED.
        """
        dog = self._watchdog() if watchdog else None
        started = time.perf_counter()
        for batch in sorted(self._batches, reverse=True):  # the largest first, as servers do
            for _ in range(_WARM_UP_PASSES):
                self._start(model.prompt(batch))
                self._eager_step(batch)
            self._settle(f"warm-up, batch {batch}")
            for rank in self._launching:
                self._graphs[batch, rank.rank] = self._capture(batch, rank, dog)
        captured = time.perf_counter() - started
        runs = [self._measure(batch) for batch in self._batches]
        return DecodeRun(runs, watchdog, dog.queries if dog else 0, captured)

    def _watchdog(self) -> Watchdog:
        mode = GLOBAL if self._sabotage is Sabotage.GLOBAL_WATCHDOG else THREAD_LOCAL
        return Watchdog(self._runtime, sorted({rank.device for rank in self._ranks}), mode)

    def _capture(self, batch: int, rank: Rank, dog: Watchdog | None) -> int:
        """Captures a graph's steps of `rank`, ready to launch and already on the device."""
        self._report(f"capturing batch {batch} on device {rank.device}")
        runtime, stream = self._runtime, rank.stream
        rank.use()
        if dog:
            dog.before_capture(rank.device, stream)
        status = runtime.status("StreamBeginCapture", stream, GLOBAL)
        if status != SUCCESS:
            raise ProbeError(
                ExitCode.CAPTURE_FAILED,
                f"A capture could not begin on device {rank.device}: {error_name(status)}.",
            )
        sign, by_watchdog = self._record(rank, rank.program(batch) * self._graph_steps, dog)
        status, graph = runtime.end_capture(stream)
        if by_watchdog or status != SUCCESS or not graph:
            raise ProbeError(
                ExitCode.UNSAFE if by_watchdog else ExitCode.CAPTURE_FAILED,
                f"The capture of batch {batch} on device {rank.device} failed: "
                f"{sign or 'no call before its end returned an error'}; "
                f"EndCapture returned {error_name(status)}.",
            )
        executable = runtime.create("GraphInstantiateWithFlags", graph, 0)
        if runtime.has("GraphUpload"):
            # Uploaded by its first launch, a graph would come late while a peer's already waits.
            runtime.check("GraphUpload", executable, stream)
            rank.synchronize()
        return executable

    def _record(
        self, rank: Rank, program: Sequence[Launch], dog: Watchdog | None
    ) -> tuple[str, bool]:
        """Launches a step into the open capture. Returns the first sign of trouble, and whether
        the watchdog met it. Goes on after it, so that the capture ends where it began."""
        sign, by_watchdog = "", False
        for place, launch in enumerate(program):
            status = launch.on(rank.stream)
            if status != SUCCESS:
                sign = sign or f"launch {place + 1} returned {error_name(status)}"
            refused = dog.look(rank.device) if dog else None
            if refused and not sign:
                sign, by_watchdog = refused, True
            if self._sabotage is Sabotage.SAME_THREAD_SYNC and place == 0:
                status = self._runtime.status("StreamSynchronize", rank.stream)
                sign = sign or (
                    "the capturing thread called StreamSynchronize and got " + error_name(status)
                )
            if self._sabotage is Sabotage.HANG:
                hang()
        return sign, by_watchdog

    def _measure(self, batch: int) -> BatchRun:
        rehearsal = self._passes(batch, _REHEARSAL_ROUND, self._rehearsal_steps)
        return BatchRun(batch, rehearsal, self._passes(batch, _MEASURED_ROUND, self._steps))

    def _passes(self, batch: int, round_number: int, steps: int) -> Passes:
        tokens, launches = model.prompt(batch, round_number), steps // self._graph_steps
        self._report(f"decoding batch {batch} eagerly")
        eager_seconds = self._timed(self._eager_step, batch, tokens, steps)
        eager = [rank.tokens(batch, steps) for rank in self._ranks]
        self._report(f"replaying the graphs of batch {batch}")
        if self._sabotage is Sabotage.WRONG_TOKEN:
            wrong = [(tokens[0] + 1) % model.VOCABULARY, *tokens[1:]]
            replay_seconds = self._timed(self._replay_step, batch, tokens, launches, wrong)
        else:
            replay_seconds = self._timed(self._replay_step, batch, tokens, launches)
        replay = [rank.tokens(batch, steps) for rank in self._ranks]
        return Passes(eager, replay, eager_seconds, replay_seconds)

    def _timed(
        self,
        step: Callable[[int], None],
        batch: int,
        tokens: Sequence[int],
        steps: int,
        first_rank_tokens: Sequence[int] | None = None,
    ) -> float:
        """Seconds from the first launch to the last token on the last device."""
        self._start(tokens)
        if first_rank_tokens is not None:
            self._ranks[0].start(first_rank_tokens)
        begun = time.perf_counter()
        for _ in range(steps):
            step(batch)
        for rank in self._launching:
            rank.synchronize()
        seconds = time.perf_counter() - begun
        self._settle(f"{'eager' if step == self._eager_step else 'replay'}, batch {batch}")
        return seconds

    def _start(self, tokens: Sequence[int]) -> None:
        for rank in self._ranks:
            rank.start(tokens)

    def _eager_step(self, batch: int) -> None:
        """Kernel by kernel over the ranks, so that no rank runs far ahead of its peers."""
        several = len(self._launching) > 1
        for launches in zip(*(rank.program(batch) for rank in self._launching), strict=True):
            for rank, launch in zip(self._launching, launches, strict=True):
                if several:
                    rank.use()
                status = launch.on(rank.stream)
                if status != SUCCESS:
                    raise _launch_failed("A kernel launch", rank, status)

    def _replay_step(self, batch: int) -> None:
        several = len(self._replaying) > 1
        for rank in self._replaying:
            if several:
                rank.use()
            graph = self._graphs[batch, rank.rank]
            status = self._runtime.status("GraphLaunch", graph, rank.stream)
            if status != SUCCESS:
                raise _launch_failed("A graph launch", rank, status)

    def _settle(self, where: str) -> None:
        """Waits for every rank, then raises ProbeError where one waited for a peer in vain."""
        for rank in self._launching:
            rank.synchronize()
        waits = [wait for rank in self._launching if (wait := rank.wait_in_vain())]
        if waits:
            raise ProbeError(
                ExitCode.ALL_REDUCE_TIMED_OUT, allreduce.timeout_sentence(waits, where)
            )


def _launch_failed(what: str, rank: Rank, status: int) -> ProbeError:
    return ProbeError(
        ExitCode.RUNTIME_CALL_FAILED,
        f"{what} on device {rank.device} returned {error_name(status)} outside of any capture.",
    )
