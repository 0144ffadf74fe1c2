"""Which processes replay which cases: those that judge, then those that try the switches."""

from __future__ import annotations

import signal
from collections.abc import Collection, Mapping
from typing import NamedTuple

from graph_probe.case_jobs import first_device_only, parallel_cases
from graph_probe.channel import Message
from graph_probe.emulator import OVERLAP
from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.library import Libraries
from graph_probe.replay import CASE_SECONDS
from graph_probe.replay_cases import (
    CASES,
    OTHER_STREAMS,
    SWITCHES,
    Cure,
    ReplaySeen,
    ReplayVerdict,
    Switch,
    Wrong,
    results_of,
    switches_set,
)
from graph_probe.roles import ReplayCases
from graph_probe.supervisor import Child, Ended, Supervisor

# The driver of CUDA makes contexts one after the other.
_CUDA_PROCESSES = 2


class _Job(NamedTuple):
    """The cases of one process, and how many it takes them by: the number of its kind."""

    number: int
    cases: tuple[int, ...]
    switch: Switch | None


class ReplayJobs:
    """All processes that replay. `sabotaged`: one case of each is broken on purpose."""

    def __init__(
        self, supervisor: Supervisor, environment: Mapping[str, str], sabotaged: bool
    ) -> None:
        self._supervisor, self._environment = supervisor, environment
        self._sabotaged = sabotaged
        self._libraries: Libraries | None = None
        self._code: str | None = None
        self._waiting = [
            _Job(number, _rotated(number), None) for number in range(len(OTHER_STREAMS))
        ]
        self._running: dict[Child, _Job] = {}
        self._doing: dict[Child, int] = {}
        self._seen: dict[Switch | None, list[ReplaySeen]] = {None: []}
        self._hung: set[int] = set()
        self._seeds: list[str] = []
        self.verdict: ReplayVerdict | None = None

    def prepare(self, libraries: Libraries, emulated: bool) -> None:
        """Must come before `start`."""
        self._libraries = libraries
        if emulated:
            given = self._environment.get(OVERLAP)
            self._seeds = [given or str(number + 1) for number in range(len(OTHER_STREAMS))]

    def use_code(self, path: str) -> None:
        self._code = path
        for child in self._running:
            child.tell(path=path)

    def owns(self, child: Child) -> bool:
        return child in self._running

    def start(self, beside: int = 0) -> None:
        """Keeps as many running as there are cores for, with `beside` other processes."""
        if self._libraries is None:
            return
        limit = _CUDA_PROCESSES if self._libraries.backend == "cuda" else parallel_cases()
        while self._waiting and len(self._running) + beside < limit:
            job = self._waiting.pop(0)
            streams = OTHER_STREAMS[job.number]
            specification: ReplayCases = {
                "role": "replay",
                "cases": job.cases,
                "other_streams": streams,
                "libraries": self._libraries,
                "sabotaged": self._sabotaged,
            }
            name = f"replays with {streams} other streams"
            child = self._supervisor.start(name, specification, **self._variables(job))
            self._running[child] = job
            if self._code is not None:
                child.tell(path=self._code)

    def _variables(self, job: _Job) -> dict[str, str]:
        assert self._libraries is not None
        variables = first_device_only(self._libraries.backend, self._environment)
        if self._seeds:
            variables[OVERLAP] = self._seeds[job.number]
        if job.switch:
            variables[job.switch.variable] = job.switch.value
        return variables

    def heard(self, child: Child, message: Message) -> None:
        """A message of one of these processes. Raises ProbeError where it could not begin."""
        if message["kind"] == "replaying":
            self._doing[child] = message["case"]
        elif message["kind"] == "replayed":
            seen = ReplaySeen(*message["seen"])
            self._saw(child, seen._replace(first=Wrong(*seen.first) if seen.first else None))
        elif message["kind"] == "error":
            self._lost(child, ExitCode(message["code"]), message["sentence"])

    def ended(self, child: Child, ended: Ended) -> None:
        """The end of one that has cases left. Raises ProbeError where it had not begun one."""
        sentence = ended.sentence(child)
        if ended.status == -signal.SIGALRM and child in self._doing:
            sentence = f"It did not end within {CASE_SECONDS} s."
            self._hung.add(self._doing[child])
            # Once is enough: in every process, it would take longer than all the rest may.
            left = [job._replace(cases=self._without_hung(job.cases)) for job in self._waiting]
            self._waiting = [job for job in left if job.cases]
        self._lost(child, ended.code, sentence)

    def _lost(self, child: Child, code: ExitCode, sentence: str) -> None:
        """A process that dies in a case is wrong in it; the cases after it get another process."""
        if child not in self._doing:
            raise ProbeError(code, sentence)
        streams = OTHER_STREAMS[self._running[child].number]
        self._saw(child, ReplaySeen(self._doing[child], streams, 0, 0, None, sentence))
        job = self._running.pop(child, None)
        if job is not None and self._without_hung(job.cases):
            self._waiting.insert(0, job._replace(cases=self._without_hung(job.cases)))

    def _saw(self, child: Child, seen: ReplaySeen) -> None:
        job = self._running.pop(child)
        del self._doing[child]
        self._seen[job.switch].append(seen)
        left = tuple(case for case in job.cases if case != seen.case)
        if left:
            self._running[child] = job._replace(cases=left)

    def conclude(self) -> bool:
        """Whether all is done. While something wrong is not cured, plans the next switch."""
        if self._waiting or self._running:
            return False
        results = results_of(self._seen[None])
        cures = [
            Cure(switch, [result for result in results_of(seen) if result.seen])
            for switch, seen in self._seen.items()
            if switch is not None
        ]
        set_here = switches_set(self._environment)
        verdict = ReplayVerdict(results, cures, self._seeds, set_here)
        untried = self._untried()
        uncured = self._without_hung([CASES.index(result.case) for result in verdict.uncured])
        if untried and uncured:
            wrong = [CASES.index(result.case) for result in verdict.wrong]
            self._try(untried[0], self._without_hung(wrong))
            return False
        self.verdict = verdict
        return True

    def _untried(self) -> list[Switch]:
        if self._libraries is None or self._libraries.backend != "hip":
            return []
        return [
            switch
            for switch in SWITCHES
            if switch not in self._seen and self._environment.get(switch.variable) != switch.value
        ]

    def _without_hung(self, cases: Collection[int]) -> tuple[int, ...]:
        return tuple(case for case in cases if case not in self._hung)

    def _try(self, switch: Switch, wrong: Collection[int]) -> None:
        """Plans as many processes as judged, with the switch, for the cases that were wrong."""
        self._seen[switch] = []
        for number in range(len(OTHER_STREAMS)):
            cases = tuple(case for case in _rotated(number) if case in wrong)
            self._waiting.append(_Job(number, cases, switch))


def _rotated(number: int) -> tuple[int, ...]:
    """Every case, in an order of each process's own: what came before changes what is shared."""
    order = range(len(CASES))
    return (*order[number:], *order[:number])
