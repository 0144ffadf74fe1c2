"""What a serve run has found so far; complete or not, report.py can print it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from serve_probe.captured_graphs import CapturedGraphs
from serve_probe.checks import Check, Run, differing
from serve_probe.machine import Machine
from serve_probe.provocation import Provocation

WATCHDOG_PERIOD = 0.1
"""Seconds between two polls of PyTorch's watchdog (kWatchdogThreadSleepMillis)."""
FEWEST_PERIODS = 50
_HELD = re.compile(
    r"race: capture \d{1,9} held ([\d.]{1,12}) s; work not done (\d{1,6}) of (\d{1,6})"
)


@dataclass(frozen=True)
class SizeResult:
    """Both servers of one tensor-parallel size, and what they must show; `graphs` where asked."""

    tensor_parallel: int
    graph: Run
    eager: Run
    checks: tuple[Check, ...]
    graphs: CapturedGraphs | None = None
    fresh: tuple[Run, ...] = ()
    """Further servers with graphs, where several were asked for."""

    @property
    def servers_with_graphs(self) -> tuple[Run, ...]:
        return (self.graph, *self.fresh)

    @property
    def differing(self) -> list[int]:
        """The servers with graphs, by number, whose tokens are not those of eager."""
        return differing(self.servers_with_graphs, self.eager)


@dataclass(frozen=True)
class RaceResult:
    """The server whose captures were held open; `periods` counts polls beside unfinished work."""

    tensor_parallel: int
    run: Run
    captures: int
    seconds: float
    periods: int
    unfinished: int
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class ProvocationResult:
    """One provoked failure, what it was judged, and whether that is right."""

    provocation: Provocation
    run: Run
    right: bool
    found: str
    seconds_to_end: float | None = None


@dataclass
class ServeFindings:
    """Filled in server by server."""

    machine: Machine | None = None
    sizes: list[SizeResult] = field(default_factory=list)
    races: list[RaceResult] = field(default_factory=list)
    provoked: list[ProvocationResult] = field(default_factory=list)
    all_reduce: str | None = None
    """The all-reduce that the image's variables select: AITER's or its own; None on CUDA."""
    seconds: float = 0.0

    @property
    def failed(self) -> list[tuple[int, Check]]:
        """Every check that did not pass, with its tensor-parallel size."""
        results: list[SizeResult | RaceResult] = [*self.sizes, *self.races]
        return [
            (result.tensor_parallel, check)
            for result in results
            for check in result.checks
            if not check.passed
        ]


def race_result(run: Run, checks: list[Check]) -> RaceResult:
    """Reads how long captures were held, beside how much work, from what rank 0 and others wrote.

    A capture counts by the rank that held it beside the least work.
    """
    held: list[tuple[float, int]] = []
    for line in run.log.lines:
        for seconds, unfinished, _ in _HELD.findall(line):
            held.append((float(seconds), int(unfinished)))
    beside_work = [entry for entry in held if entry[1] > 0]
    seconds = sum(entry[0] for entry in beside_work) / run.tensor_parallel
    periods = int(seconds / WATCHDOG_PERIOD)
    fewest = min((entry[1] for entry in held), default=0)
    exceptions = run.log.watchdog_exceptions
    captures = len(held) // run.tensor_parallel
    checks = [
        *checks,
        Check(
            "held-open",
            periods >= FEWEST_PERIODS and fewest > 0,
            f"{captures} captures held open for {seconds:.1f} s beside at least {fewest} works "
            f"that were not done: {periods} periods of the watchdog (at least {FEWEST_PERIODS}).",
        ),
        Check("no-watchdog-exception", exceptions == 0, f"{exceptions} watchdog exceptions."),
    ]
    return RaceResult(run.tensor_parallel, run, captures, seconds, periods, fewest, tuple(checks))
