"""What a command has found so far; complete or not, report.py can print it."""

from __future__ import annotations

from dataclasses import dataclass, field

from graph_probe.cases import Verdict
from graph_probe.device import Device, RuntimeFacts
from graph_probe.judgement import Judgement
from graph_probe.replay_cases import ReplayVerdict
from graph_probe.tokens import BatchCheck


@dataclass(frozen=True)
class BatchResult:
    """One batch size: its check, and tokens per second over all rows."""

    check: BatchCheck
    eager_tokens_per_second: float
    replay_tokens_per_second: float


@dataclass(frozen=True)
class DecodeResult:
    """The decode over the first `devices` devices."""

    devices: int
    steps: int
    watchdog: bool
    watchdog_queries: int
    batches: tuple[BatchResult, ...]

    @property
    def problem(self) -> str | None:
        return next((entry.check.problem for entry in self.batches if entry.check.problem), None)


@dataclass
class Findings:
    """Filled in phase by phase; what was not reached stays None or empty."""

    runtime: RuntimeFacts | None = None
    devices: list[Device] = field(default_factory=list)
    capture: Verdict | None = None
    """Of the runtime itself, past any guard."""
    guard_path: str | None = None
    guarded: Verdict | None = None
    """Of the watchdog cases made through the guard; None where none is loaded."""
    replay: ReplayVerdict | None = None
    decode: DecodeResult | None = None
    fresh: list[DecodeResult] = field(default_factory=list)
    """Of each process, where several were asked for; `decode` is that of the first."""
    judgement: Judgement | None = None
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
