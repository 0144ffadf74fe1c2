"""The capture cases as jobs for processes: which there are, how many at once, with which device.

A process takes one case after the other until a capture dies in it that must survive: what it
said about another such capture would not be worth as much. None was seen to be dirtied by a dead
capture: the matrices of CUDA and of AMD's HIP are the same with a process for each row. Where a
process itself dies, the case it was in is repeated in a fresh one before it is judged.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from typing import NamedTuple

from graph_probe.cases import CASES, Case, Kind, Observation, Outcome
from graph_probe.channel import Message
from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.library import Libraries
from graph_probe.roles import CaptureCase
from graph_probe.supervisor import Child, Ended, Supervisor

_VISIBLE = {
    "hip": ("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"),
    "cuda": ("CUDA_VISIBLE_DEVICES",),
}
# The driver of CUDA makes contexts one after the other, at 0.2 s each on an H100.
_CUDA_PROCESSES = 1


class Job(NamedTuple):
    """A case by its index; `guarded`: its calls are made through the capture guard."""

    case: int
    guarded: bool

    @property
    def what(self) -> Case:
        return CASES[self.case]


MUST_SURVIVE = [case for case, what in enumerate(CASES) if what.kind is Kind.MUST_SURVIVE]


def parallel_cases() -> int:
    """How many processes of cases run at a time."""
    return max(2, min(8, len(os.sched_getaffinity(0))))


def first_device_only(backend: str, environment: Mapping[str, str]) -> dict[str, str]:
    """A case needs one device; a context on each of eight would cost it most of its time."""
    names = _VISIBLE[backend]
    given = {name: environment[name].split(",")[0] for name in names if environment.get(name)}
    return given or {names[0]: "0"}


class CaptureJobs:
    """All processes of capture cases, and what became of their cases."""

    def __init__(self, supervisor: Supervisor, environment: Mapping[str, str]) -> None:
        self._supervisor, self._environment = supervisor, environment
        self._libraries: Libraries | None = None
        self._code: str | None = None
        self._waiting: list[Job] = []
        self._running: dict[Child, Job] = {}
        self._used: set[Child] = set()
        self._outcomes: dict[Job, Outcome] = {}

    def prepare(self, libraries: Libraries, guarded: bool, lacks: Collection[str]) -> None:
        """Plans every case whose call the runtime has. Must come before `start`."""
        self._libraries = libraries
        self._waiting = [
            Job(case, False) for case, what in enumerate(CASES) if what.call.function not in lacks
        ]
        if guarded:
            self._waiting += [Job(case, True) for case in MUST_SURVIVE]

    def use_code(self, path: str) -> None:
        self._code = path
        for child in self._running:
            child.tell(path=path)

    def owns(self, child: Child) -> bool:
        return child in self._running

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def all_started(self) -> bool:
        return self._libraries is not None and not self._waiting

    @property
    def finished(self) -> bool:
        return self.all_started and not self._running

    def outcomes(self, guarded: bool) -> list[Outcome]:
        """Of all cases made so, in the order of CASES."""
        return [self._outcomes[job] for job in sorted(self._outcomes) if job.guarded is guarded]

    def start(self) -> None:
        """Keeps as many processes running as there are cores for; the first wait for the code."""
        if self._libraries is None:
            return
        limit = _CUDA_PROCESSES if self._libraries.backend == "cuda" else parallel_cases()
        while self._waiting and len(self._running) < limit:
            job = self._waiting.pop(0)
            specification: CaptureCase = {
                "role": "case",
                "case": job.case,
                "guarded": job.guarded,
                "libraries": self._libraries,
            }
            only_first = first_device_only(self._libraries.backend, self._environment)
            name = f"the {job.what.name}"
            child = self._supervisor.start(name, specification, **only_first)
            self._running[child] = job
            if self._code is not None:
                child.tell(path=self._code)

    def heard(self, child: Child, message: Message) -> None:
        """A message of one of these processes. Raises ProbeError where a verdict is impossible."""
        if message["kind"] == "observed":
            self._observed(child, Observation(*message["observation"]))
        elif message["kind"] == "error":
            what = self._running[child].what
            sentence = message["sentence"]
            told = f"In the case of a {what.name}: {sentence}"
            self._lost(child, ExitCode(message["code"]), sentence, told)

    def ended(self, child: Child, ended: Ended) -> None:
        """The end of one without its result. Raises ProbeError as `heard` does."""
        sentence = ended.sentence(child)
        self._lost(child, ended.code, sentence, sentence)

    def _lost(self, child: Child, code: ExitCode, sentence: str, told: str) -> None:
        job = self._running.pop(child)
        if child in self._used:
            self._waiting.insert(0, job)
        elif job.what.kind is Kind.MUST_SURVIVE:
            raise ProbeError(code, told)
        else:
            crashed = Observation(-1, -1, -1, False, -1, 0, sentence)
            self._outcomes[job] = Outcome(job.what, crashed)

    def _observed(self, child: Child, seen: Observation) -> None:
        job = self._running.pop(child)
        self._outcomes[job] = Outcome(job.what, seen)
        self._used.add(child)
        clean = seen.survived or job.what.kind is not Kind.MUST_SURVIVE
        same = bool(self._waiting) and self._waiting[0].guarded is job.guarded
        following = self._waiting.pop(0) if same and clean else None
        child.tell(case=following.case if following else None)
        if following is not None:
            child.name = f"the {following.what.name}"
            self._running[child] = following
