"""Runs one command: starts the children in their order and gathers what they report.

One child leads: it loads, describes and compiles, then prepares the decode while capture cases and
replays are already running in processes of their own; it decodes when their verdicts are known.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from graph_probe import model, replay_report, report
from graph_probe.case_jobs import CaptureJobs
from graph_probe.cases import Verdict, judge_capture
from graph_probe.channel import Message
from graph_probe.decode import BatchRun, DecodeRun, Passes
from graph_probe.device import Device, RuntimeFacts
from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.findings import BatchResult, DecodeResult, Findings
from graph_probe.library import Libraries
from graph_probe.options import Options
from graph_probe.replay_jobs import ReplayJobs
from graph_probe.roles import Decoding, Lead, Reference
from graph_probe.sabotage import Sabotage
from graph_probe.supervisor import Child, Ended, Supervisor
from graph_probe.tokens import check_batch

_REFERENCE_ROWS, _REFERENCE_STEPS = 8, 64


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
        self._findings, self._announce = findings, announce
        self._lead: Child | None = None
        self._captures = CaptureJobs(supervisor, environment)
        sabotaged = options.sabotage is Sabotage.WRONG_REPLAY
        self._replays = ReplayJobs(supervisor, environment, sabotaged)
        self._libraries: Libraries | None = None
        self._code: str | None = None
        self._ready = self._decoding = False
        self._run: DecodeRun | None = None
        self._reference: dict[int, list[int]] | None = None
        self._began = self._told = time.monotonic()

    def run(self, folder: str, torch: str | None, gfx: str | None) -> None:
        """Fills in the findings. Raises ProbeError where a phase could not be completed."""
        options = self._options
        decoding: Decoding = {
            "batches": options.batches,
            "steps": options.steps,
            "graph_steps": options.graph_steps,
            "sabotage": options.sabotage.value if options.sabotage else None,
        }
        lead: Lead = {
            "role": "lead",
            "backend": options.backend,
            "torch": torch,
            "gfx": gfx,
            "folder": folder,
            "devices": options.devices,
            "decode": decoding if options.decodes else None,
        }
        self._lead = self._supervisor.start("the runtime and the decode", lead)
        if options.decodes:
            rows = min(max(options.batches), _REFERENCE_ROWS)
            reference: Reference = {
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
            self._go_on()
            if self._finished():
                return
        raise ProbeError(
            ExitCode.PROBE_DEFECT, "Every process of the probe ended before all results were in."
        )

    def _finished(self) -> bool:
        findings, options = self._findings, self._options
        captured = not options.captures or findings.capture is not None
        replayed = not options.replays or findings.replay is not None
        decoded = not options.decodes or findings.decode is not None
        return captured and replayed and decoded and self._code is not None

    def _heard(self, child: Child, message: Message) -> None:
        kind = message["kind"]
        if self._captures.owns(child):
            self._captures.heard(child, message)
        elif self._replays.owns(child):
            self._replays.heard(child, message)
        elif kind == "error":
            raise ProbeError(ExitCode(message["code"]), message["sentence"])
        elif kind == "library":
            self._libraries = Libraries(*message["libraries"])
            self._findings.guard_path = message["guard"]
            if self._options.captures:
                guarded = message["guard"] is not None
                self._captures.prepare(self._libraries, guarded, message["lacks"])
        elif kind == "runtime":
            facts = RuntimeFacts.of_message(message["runtime"])
            self._findings.runtime = facts
            self._findings.devices = [Device(*device) for device in message["devices"]]
            self._announce(report.runtime_text(self._findings))
            if self._options.replays and self._libraries is not None:
                self._replays.prepare(self._libraries, facts.emulator is not None)
        elif kind == "code":
            self._findings.seconds["load"] = message["load"]
            self._findings.seconds["compile"] = message["compile"]
            self._code = message["path"]
            self._captures.use_code(message["path"])
            self._replays.use_code(message["path"])
        elif kind == "ready":
            self._findings.seconds["prepare"] = message["seconds"]
            self._ready = True
        elif kind == "decoded":
            self._run = _decode_run(message["run"])
            self._check_decode()
        elif kind == "reference":
            self._reference = dict(message["rows"])
            self._check_decode()

    def _child_ended(self, child: Child, ended: Ended) -> None:
        early = child is self._lead and self._options.decodes and self._run is None
        if self._captures.owns(child):
            self._captures.ended(child, ended)
        elif self._replays.owns(child):
            self._replays.ended(child, ended)
        elif early or ended.status != 0:
            raise ProbeError(ended.code, ended.sentence(child))

    def _go_on(self) -> None:
        """Starts what can be started now: cases, then replays beside the last of them, then the
        decode, which is timed and so runs alone."""
        findings = self._findings
        if self._options.captures and findings.capture is None:
            self._captures.start()
            if self._captures.finished:
                self._judge_captures()
        captured = not self._options.captures or self._captures.all_started
        if self._options.replays and findings.replay is None and captured:
            if self._replays.conclude():
                self._judge_replays()
            else:
                self._replays.start(beside=self._captures.running)
        self._start_decode()

    def _judge_captures(self) -> None:
        findings = self._findings
        findings.seconds["capture"] = time.monotonic() - self._began
        findings.capture = judge_capture(self._captures.outcomes(guarded=False))
        self._announce(report.capture_text(findings.capture))
        if findings.guard_path:
            findings.guarded = judge_capture(self._captures.outcomes(guarded=True))
            self._announce(report.guard_text(findings.guard_path, findings.guarded))

    def _judge_replays(self) -> None:
        captured = self._findings.seconds.get("capture", 0.0)
        self._findings.seconds["replay"] = time.monotonic() - self._began - captured
        self._findings.replay = self._replays.verdict
        assert self._findings.replay is not None
        self._announce(replay_report.text(self._findings.replay))

    def _start_decode(self) -> None:
        findings = self._findings
        waits = (self._options.captures and findings.capture is None) or (
            self._options.replays and findings.replay is None
        )
        if not self._ready or waits or self._decoding:
            return
        assert self._lead is not None
        self._decoding = True
        self._told = time.monotonic()
        self._lead.tell(watchdog=self._wants_watchdog(findings.capture))

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
