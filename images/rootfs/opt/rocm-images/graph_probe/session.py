"""Runs one command: starts the children in their order and gathers what they report.

One child leads: it loads, describes and compiles, then prepares the decode while the capture cases
are already running in processes of their own; it decodes when their verdict is known.

On HIP each case has its own process, since there a dead capture can leave its process dirty. On
CUDA it does not (the measured matrix shares processes), and the driver makes contexts one after the
other at 0.2 s each on an H100: so there a process whose capture survived takes the next case.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from graph_probe import model, report
from graph_probe.case_jobs import (
    MUST_SURVIVE,
    Job,
    crashed,
    first_device_only,
    parallel_cases,
)
from graph_probe.cases import CASES, Case, Kind, Observation, Outcome, Verdict, judge_capture
from graph_probe.channel import Message
from graph_probe.decode import BatchRun, DecodeRun, Passes
from graph_probe.device import Device, RuntimeFacts
from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.findings import BatchResult, DecodeResult, Findings
from graph_probe.library import Libraries
from graph_probe.options import Options
from graph_probe.sabotage import Sabotage
from graph_probe.supervisor import Child, Ended, Supervisor
from graph_probe.tokens import check_batch

_REFERENCE_ROWS, _REFERENCE_STEPS = 8, 64
_CUDA_PROCESSES = 1


class Session:
    """One command under `supervisor`; `announce` gets each finding as text when it is there."""

    def __init__(
        self,
        supervisor: Supervisor,
        options: Options,
        environment: Mapping[str, str],
        findings: Findings,
        announce: Callable[[str], None],
    ) -> None:
        self._supervisor, self._options = supervisor, options
        self._environment = environment
        self._findings, self._announce = findings, announce
        self._lead: Child | None = None
        self._libraries: Libraries | None = None
        self._code: str | None = None
        self._waiting = [Job(case, False) for case in range(len(CASES)) if options.captures]
        self._running: dict[Child, Job] = {}
        self._outcomes: dict[Job, Outcome] = {}
        self._ready = False
        self._run: DecodeRun | None = None
        self._reference: dict[int, list[int]] | None = None
        self._began = self._told = time.monotonic()

    def run(self, folder: str, torch: str | None, gfx: str | None) -> None:
        """Fills in the findings. Raises ProbeError where a phase could not be completed."""
        options = self._options
        lead = {
            "role": "lead",
            "backend": options.backend,
            "torch": torch,
            "gfx": gfx,
            "folder": folder,
            "devices": options.devices,
            "decode": options.decodes,
            "batches": options.batches,
            "steps": options.steps,
            "sabotage": options.sabotage.value if options.sabotage else None,
        }
        self._lead = self._supervisor.start("the runtime and the decode", lead)
        if options.decodes:
            rows = min(max(options.batches), _REFERENCE_ROWS)
            reference = {
                "role": "reference",
                "starts": model.prompt(rows),
                "steps": min(options.steps, _REFERENCE_STEPS),
            }
            self._supervisor.start("the float64 reference", reference)
        for child, message in self._supervisor.messages():
            if isinstance(message, Ended):
                self._child_ended(child, message)
            else:
                self._heard(child, message)
            if self._finished():
                return
        raise ProbeError(
            ExitCode.PROBE_DEFECT, "Every process of the probe ended before all results were in."
        )

    def _finished(self) -> bool:
        captured = not self._options.captures or self._findings.capture is not None
        decoded = not self._options.decodes or self._findings.decode is not None
        return captured and decoded and self._code is not None

    def _heard(self, child: Child, message: Message) -> None:
        kind = message["kind"]
        if kind == "error":
            self._child_failed(child, ExitCode(message["code"]), message["sentence"])
        elif kind == "library":
            self._libraries = Libraries(*message["libraries"])
            self._findings.guard_path = message["guard"]
            if message["guard"] and self._options.captures:
                self._waiting += [Job(case, True) for case in MUST_SURVIVE]
            self._start_cases()
        elif kind == "runtime":
            self._findings.runtime = RuntimeFacts(*message["runtime"])
            self._findings.devices = [Device(*device) for device in message["devices"]]
            self._announce(report.runtime_text(self._findings))
        elif kind == "code":
            self._findings.seconds["load"] = message["load"]
            self._findings.seconds["compile"] = message["compile"]
            self._code = message["path"]
            for waiting in self._running:
                waiting.tell(path=self._code)
        elif kind == "observed":
            seen = Observation(*message["observation"])
            self._case_done(child, seen)
        elif kind == "ready":
            self._findings.seconds["prepare"] = message["seconds"]
            self._ready = True
            self._start_decode()
        elif kind == "decoded":
            self._run = _decode_run(message["run"])
            self._check_decode()
        elif kind == "reference":
            self._reference = dict(message["rows"])
            self._check_decode()

    def _child_failed(self, child: Child, code: ExitCode, sentence: str) -> None:
        case = self._case_of(child)
        if case is not None and case.kind is not Kind.MUST_SURVIVE:
            self._case_done(child, crashed(sentence))
        elif case is not None:
            raise ProbeError(code, f"In the case of a {case.name}: {sentence}")
        else:
            raise ProbeError(code, sentence)

    def _child_ended(self, child: Child, ended: Ended) -> None:
        case = self._case_of(child)
        early = child is self._lead and self._options.decodes and self._run is None
        if case is not None and case.kind is not Kind.MUST_SURVIVE:
            self._case_done(child, crashed(ended.sentence(child)))
        elif case is not None or early or ended.status != 0:
            raise ProbeError(ended.code, ended.sentence(child))

    def _case_of(self, child: Child) -> Case | None:
        job = self._running.get(child)
        return CASES[job.case] if job else None

    @property
    def _again(self) -> bool:
        return self._libraries is not None and self._libraries.backend == "cuda"

    def _start_cases(self) -> None:
        """Keeps as many cases running as there are cores for; the first wait for the code."""
        if self._libraries is None:
            return
        limit = _CUDA_PROCESSES if self._again else parallel_cases()
        while self._waiting and len(self._running) < limit:
            job = self._waiting.pop(0)
            child = self._supervisor.start(
                f"the {CASES[job.case].name}",
                {
                    "role": "case",
                    "case": job.case,
                    "guarded": job.guarded,
                    "libraries": self._libraries,
                    "again": self._again,
                },
                **first_device_only(self._libraries.backend, self._environment),
            )
            self._running[child] = job
            if self._code is not None:
                child.tell(path=self._code)

    def _case_done(self, child: Child, seen: Observation) -> None:
        job = self._running.pop(child)
        self._outcomes[job] = Outcome(CASES[job.case], seen)
        if self._again and not seen.crash:
            same = bool(self._waiting) and self._waiting[0].guarded is job.guarded
            following = self._waiting.pop(0) if same and seen.survived else None
            child.tell(case=following.case if following else None)
            if following is not None:
                self._running[child] = following
        self._start_cases()
        if not self._waiting and not self._running:
            self._judge_cases()
            self._start_decode()

    def _judge_cases(self) -> None:
        findings = self._findings
        findings.seconds["capture"] = time.monotonic() - self._began
        ordered = [self._outcomes[Job(case, False)] for case in range(len(CASES))]
        findings.capture = judge_capture(ordered)
        self._announce(report.capture_text(findings.capture))
        if findings.guard_path:
            through = [self._outcomes[Job(case, True)] for case in MUST_SURVIVE]
            findings.guarded = judge_capture(through)
            self._announce(report.guard_text(findings.guard_path, findings.guarded))

    def _start_decode(self) -> None:
        verdict = self._findings.capture
        if not self._ready or (self._options.captures and verdict is None):
            return
        assert self._lead is not None
        self._told = time.monotonic()
        self._lead.tell(watchdog=self._wants_watchdog(verdict))

    def _wants_watchdog(self, verdict: Verdict | None) -> bool:
        if self._options.sabotage is Sabotage.GLOBAL_WATCHDOG:
            return True
        if self._findings.guarded:
            return self._findings.guarded.safe
        return verdict.safe if verdict else self._options.watchdog

    def _check_decode(self) -> None:
        if self._run is None or self._reference is None:
            return
        self._findings.seconds["decode"] = time.monotonic() - self._told
        results = tuple(self._batch_result(batch, self._reference) for batch in self._run.batches)
        self._findings.decode = DecodeResult(
            self._options.devices or len(self._findings.devices),
            self._options.steps,
            self._run.watchdog,
            self._run.watchdog_queries,
            results,
        )
        self._announce(report.decode_text(self._findings.decode))

    def _batch_result(self, run: BatchRun, reference: Mapping[int, list[int]]) -> BatchResult:
        made = run.batch * self._options.steps
        return BatchResult(
            check_batch(run, reference, model.prompt(run.batch)),
            made / run.measured.eager_seconds,
            made / run.measured.replay_seconds,
        )


def _decode_run(content: Iterable[Any]) -> DecodeRun:
    batches, *rest = content
    runs = [BatchRun(batch, Passes(*first), Passes(*second)) for batch, first, second in batches]
    return DecodeRun(runs, *rest)
