"""Does what was asked for, server after server, and says each finding as soon as it is there."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from graph_probe.exit_codes import MEANING, ExitCode
from serve_probe import report
from serve_probe.captured_graphs import captured_graphs
from serve_probe.checks import Run, check_fresh, check_pair, check_run
from serve_probe.findings import (
    ProvocationResult,
    ServeFindings,
    SizeResult,
    race_result,
)
from serve_probe.options import SIZES, Options
from serve_probe.provocation import PROVOCATIONS, Provocation
from serve_probe.server import Servers
from serve_probe.serving import Place, run_plain, run_provoked, run_race, visible_gpus
from serve_probe.verdict import EXIT_OF_STATE, State, Verdict

_TOKEN_CHECKS = {"graph-equals-eager", "repeat", "batch", "finite", "sampled"}


@dataclass
class Session:
    """`found` is called after every finding, with a text about it."""

    servers: Servers
    options: Options
    place: Place
    findings: ServeFindings
    found: Callable[[str], None]
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Fills in the findings. Raises Stopped."""
        machine = self.findings.machine
        assert machine is not None
        self.findings.all_reduce = self.place.all_reduce
        count = len(machine.devices)
        if self.options.provoke:
            self._provoke(visible_gpus(self.place.backend, count, os.environ))
            return
        for size in self.options.sizes or [size for size in SIZES if size <= count]:
            if self.options.race:
                self._race(size)
            else:
                self._compare(size)

    def _compare(self, size: int) -> None:
        roots = self.options.roots
        graph = run_plain(self.servers, self.place, size, graph=True, roots=roots)
        eager = run_plain(self.servers, self.place, size, graph=False)
        fresh = tuple(
            run_plain(self.servers, self.place, size, graph=True, number=number)
            for number in range(2, self.options.fresh + 1)
        )
        checks = [
            *check_run(graph, self.findings.all_reduce),
            *check_run(eager, self.findings.all_reduce),
            *check_pair(graph, eager),
        ]
        for number, run in enumerate(fresh, 2):
            found = check_run(run, self.findings.all_reduce)
            checks += [replace(check, of=f"graph {number}") for check in found]
        if fresh:
            checks.append(check_fresh((graph, *fresh), eager))
        graphs = captured_graphs(graph.log) if roots else None
        if graphs:
            checks.append(graphs.check)
        result = SizeResult(size, graph, eager, tuple(checks), graphs, fresh)
        self.findings.sizes.append(result)
        self.found(report.size_text(result))

    def _race(self, size: int) -> None:
        run = run_race(self.servers, self.place, size)
        result = race_result(run, check_run(run, self.findings.all_reduce))
        self.findings.races.append(result)
        self.found(report.race_text(result))

    def _provoke(self, gpus: list[str]) -> None:
        """Side by side those that can share a GPU; then the others, one after the other."""
        wanted = dict.fromkeys(
            PROVOCATIONS[kind].at(size)
            for size in self.options.sizes or (2,)
            for kind in self.options.provoke
        )
        shared = [provoked for provoked in wanted if not provoked.alone]
        jobs = self.options.jobs or len(gpus)
        with ThreadPoolExecutor(jobs) as pool:
            started = [
                pool.submit(self._provoke_one, provoked, [gpus[number % len(gpus)]])
                for number, provoked in enumerate(shared)
            ]
            for future in started:
                future.result()
        for provoked in wanted:
            if provoked.alone:
                self._provoke_one(provoked, gpus)

    def _provoke_one(self, provoked: Provocation, gpus: list[str]) -> None:
        if len(gpus) < provoked.tensor_parallel:
            with self._lock:
                self.found(f"not run  {provoked.name}: it needs {provoked.tensor_parallel} GPUs")
            return
        used = gpus[: provoked.tensor_parallel]
        run = run_provoked(self.servers, self.place, provoked, used)
        eager = None
        if provoked.tokens_differ:
            # What the tokens should be. One after the other: ranks that wait for one another on a
            # GPU that two servers share starve both.
            eager = run_plain(self.servers, self.place, provoked.tensor_parallel, graph=False)
        result = judge_provocation(provoked, run, eager)
        with self._lock:
            self.findings.provoked.append(result)
            self.found(report.provocation_text(result))


def judge_provocation(provoked: Provocation, run: Run, eager: Run | None) -> ProvocationResult:
    """Whether a provoked failure was judged as what it is, place included."""
    verdict = run.verdict
    right = verdict.state is provoked.state and verdict.phase == provoked.phase
    right = right and not run.left
    if provoked.state is State.CAPTURE_INVALIDATED and provoked.rank is not None:
        right = right and verdict.rank == provoked.rank
    found = _in_words(verdict)
    if not provoked.acted(run.log):
        right, found = False, f"{found}; what was to provoke it did not act"
    if eager is not None:
        check = check_pair(run, eager)[0]
        right = right and not check.passed and run.answers is not None and eager.answers is not None
        found = f"{found}; {check.found}"
    elif provoked.state is State.READY:
        failed = [check for check in check_run(run, None) if not check.passed]
        right = right and not failed
        found += "".join(f"; {check.name} failed: {check.found}" for check in failed)
    return ProvocationResult(provoked, run, right, found)


def _in_words(verdict: Verdict) -> str:
    parts = [str(verdict.state)]
    parts += [verdict.phase] if verdict.phase else []
    parts += [f"size {verdict.size}"] if verdict.size is not None else []
    parts += [f"rank {verdict.rank}"] if verdict.rank is not None else []
    return ", ".join(parts)


def conclude(findings: ServeFindings) -> tuple[ExitCode, str]:
    """The exit code and its sentence: a server that failed first, then what it answered."""
    wrong = [result.provocation.name for result in findings.provoked if not result.right]
    if wrong:
        return ExitCode.MISJUDGED, f"{MEANING[ExitCode.MISJUDGED]} These: {', '.join(wrong)}."
    runs = [(result.tensor_parallel, result.graph) for result in findings.sizes]
    runs += [(result.tensor_parallel, result.eager) for result in findings.sizes]
    runs += [(result.tensor_parallel, run) for result in findings.sizes for run in result.fresh]
    runs += [(result.tensor_parallel, result.run) for result in findings.races]
    for size, run in runs:
        if run.verdict.state is not State.READY:
            return EXIT_OF_STATE[run.verdict.state], f"TP {size}: {run.verdict.sentence}"
    for result in findings.sizes:
        servers, differ = result.servers_with_graphs, result.differing
        if 0 < len(differ) < len(servers):
            return ExitCode.REPLAY_CORRUPTED, (
                f"TP {result.tensor_parallel}: {len(differ)} of {len(servers)} servers with graphs "
                "gave other tokens than eager, without an error (advisory replay-corrupted). Serve "
                f"with {servers[0].log.said.advice.eager}."
            )
    for size, check in findings.failed:
        wrong_tokens = check.name in _TOKEN_CHECKS
        code = ExitCode.WRONG_TOKENS if wrong_tokens else ExitCode.SERVE_CHECK_FAILED
        return code, f"TP {size}, {check.of} {check.name}: {check.found}".replace(",  ", ", ")
    return ExitCode.PASS, MEANING[ExitCode.PASS]
