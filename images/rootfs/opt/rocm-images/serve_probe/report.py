"""Turns findings into text for people and into the JSON object for machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from graph_probe.exit_codes import ExitCode
from serve_probe.checks import Check, Run
from serve_probe.findings import ProvocationResult, RaceResult, ServeFindings, SizeResult
from serve_probe.machine import Machine
from serve_probe.traffic import Load
from serve_probe.verdict import Verdict

SCHEMA_VERSION = 1
_TAIL_LINES = 40


def machine_text(machine: Machine) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    lines = [f"runtime  {machine.runtime.path}", f"         {machine.runtime.version_text}"]
    lines += [f"device   {entry.ordinal}: {entry.name}, {entry.gfx}" for entry in machine.devices]
    return "\n".join([*lines, f"packages {versions}"])


def size_text(result: SizeResult) -> str:
    lines = [f"TP {result.tensor_parallel}"]
    lines += [_check_text(check) for check in result.checks]
    for run in (result.graph, result.eager):
        if run.answers:
            lines.append(f"         {'graph' if run.graph else 'eager'}: {_loads(run)}")
    return "\n".join(lines)


def _loads(run: Run) -> str:
    assert run.answers is not None
    loads = (f"{load.tokens_per_second:,.1f} (c={load.concurrency})" for load in run.answers.loads)
    return f"ready in {run.ready_seconds or 0:.1f} s; tokens/s {', '.join(loads)}"


def race_text(result: RaceResult) -> str:
    lines = [f"TP {result.tensor_parallel}, captures held open beside unfinished NCCL work"]
    return "\n".join([*lines, *(_check_text(check) for check in result.checks)])


def provocation_text(result: ProvocationResult) -> str:
    mark = "right" if result.right else "WRONG"
    return f"{mark:8s} {result.provocation.kind}: {result.found}"


def _check_text(check: Check) -> str:
    server = f"{check.of} " if check.of else ""
    mark = ("pass" if check.shown else "unshown") if check.passed else "FAIL"
    return f"{mark:8s} {server}{check.name}: {check.found}"


def as_json(findings: ServeFindings, code: ExitCode | None, sentence: str) -> dict[str, object]:
    """The whole result; keys are always there. `code` None: it is not finished."""
    machine = findings.machine
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "serve",
        "exit_code": None if code is None else int(code),
        "exit_name": None if code is None else code.name.lower(),
        "sentence": sentence,
        "runtime": machine.runtime.as_json() if machine else None,
        "devices": [
            {"index": entry.ordinal, "name": entry.name, "gfx": entry.gfx}
            for entry in (machine.devices if machine else ())
        ],
        "versions": machine.versions if machine else {},
        "declared_all_reduce": findings.all_reduce,
        "sizes": [_size_json(result) for result in findings.sizes],
        "races": [_race_json(result) for result in findings.races],
        "provoked": [_provoked_json(result) for result in findings.provoked],
        "seconds": round(findings.seconds, 1),
    }


def _size_json(result: SizeResult) -> dict[str, object]:
    return {
        "tensor_parallel": result.tensor_parallel,
        "passed": all(check.passed for check in result.checks),
        "checks": _checks_json(result.checks),
        "graphs": asdict(result.graphs) if result.graphs else None,
        "graph": _run_json(result.graph),
        "eager": _run_json(result.eager),
        "fresh": [_run_json(run) for run in result.fresh],
        "differing": result.differing,
    }


def _checks_json(checks: Sequence[Check]) -> list[dict[str, object]]:
    return [asdict(check) for check in checks]


def _run_json(run: Run) -> dict[str, object]:
    verdict = run.verdict
    loads: Sequence[Load] = run.answers.loads if run.answers else ()
    return {
        **verdict_json(verdict),
        "problem": run.problem,
        "ready_seconds": _rounded(run.ready_seconds),
        "stop_seconds": _rounded(run.stop_seconds),
        "captures": [
            {
                "phase": capture.phase,
                "rank": capture.rank,
                "sizes": list(capture.sizes),
                "seconds": capture.seconds,
            }
            for capture in run.log.captures
        ],
        "all_reduce": run.log.all_reduce,
        "decode_lines": dict(zip(("graph", "eager"), run.log.decoded_with_graph, strict=True)),
        "loads": [
            {
                "concurrency": load.concurrency,
                "requests": load.requests,
                "tokens": load.tokens,
                "tokens_per_second": round(load.tokens_per_second, 1),
            }
            for load in loads
        ],
        "greedy": [list(made.tokens) for made in run.answers.greedy] if run.answers else [],
        "log_tail": run.log.tail(_TAIL_LINES) if run.answers is None else "",
    }


def verdict_json(verdict: Verdict) -> dict[str, object]:
    """A verdict, as every key of it is called."""
    return {
        "state": str(verdict.state),
        "sentence": verdict.sentence,
        "advisories": list(verdict.advisories),
        "stage": str(verdict.stage),
        "phase": verdict.phase,
        "size": verdict.size,
        "rank": verdict.rank,
        "process": verdict.process,
        "cause": verdict.cause,
        "line": verdict.line,
    }


def _race_json(result: RaceResult) -> dict[str, object]:
    return {
        "tensor_parallel": result.tensor_parallel,
        "passed": all(check.passed for check in result.checks),
        "captures": result.captures,
        "seconds": round(result.seconds, 2),
        "watchdog_periods": result.periods,
        "unfinished_works": result.unfinished,
        "checks": _checks_json(result.checks),
        "run": _run_json(result.run),
    }


def _provoked_json(result: ProvocationResult) -> dict[str, object]:
    expected = result.provocation
    return {
        "kind": str(expected.kind),
        "tensor_parallel": expected.tensor_parallel,
        "description": expected.description,
        "expected": str(expected.state),
        "right": result.right,
        "found": result.found,
        "run": _run_json(result.run),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
