"""Turns findings into text for people and into the JSON object for machines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from graph_probe import guard, replay_report
from graph_probe.cases import SAME_THREAD, Kind, Outcome, Verdict, bug_of
from graph_probe.exit_codes import ExitCode
from graph_probe.findings import DecodeResult, Findings
from graph_probe.judgement import Judgement
from graph_probe.runtime import MODE_NAME

SCHEMA_VERSION = 1

_BUG_TEXT = {
    "A": "bug A: the runtime ignores that the watchdog's thread opted out (pytorch#177309)",
    "B": "bug B: an event recorded before the capture counts as part of it (rocm-systems#3176)",
}


def runtime_text(findings: Findings) -> str:
    runtime = findings.runtime
    assert runtime is not None
    lines = [f"runtime  {runtime.path}{runtime.label}", f"         {runtime.version_text}"]
    lines[1] += f" (version integer {runtime.version})"
    if runtime.emulator:
        lines.append(f"emulated by {runtime.emulator.path}, version {runtime.emulator.version}")
    lines += [f"device   {entry.ordinal}: {entry.name}, {entry.gfx}" for entry in findings.devices]
    return "\n".join(lines)


def capture_text(verdict: Verdict) -> str:
    total = len(verdict.of_kind(Kind.MUST_SURVIVE))
    if verdict.safe:
        lines = [f"capture  survives a watchdog: all {total} cases did"]
    else:
        lines = [f"capture  UNSAFE: {len(verdict.killed)} of {total} watchdog cases failed"]
        lines += [f"         {_BUG_TEXT[bug]}" for bug in verdict.bugs]
        lines += [_case_text(entry) for entry in verdict.killed]
    for entry in verdict.of_kind(Kind.CONTROL):
        enforced = "enforced" if entry.seen.refused else "NOT enforced"
        lines.append(f"control  {enforced}: {entry.case.name}")
    for entry in verdict.of_kind(Kind.INFORMATION):
        kills = "survives" if entry.seen.survived else "still kills a capture"
        lines.append(f"known    {kills}: {entry.case.name}")
    return "\n".join(lines)


def guard_text(path: str, verdict: Verdict) -> str:
    """What became of the watchdog cases that were made through the guard."""
    total = len(verdict.of_kind(Kind.MUST_SURVIVE))
    if verdict.safe:
        return f"guard    holds: all {total} watchdog cases survived through {path}"
    lines = [
        f"guard    FAILS: {len(verdict.killed)} of {total} watchdog cases failed through {path}"
    ]
    return "\n".join([*lines, *map(_case_text, verdict.killed)])


def _case_text(outcome: Outcome) -> str:
    return f"         {outcome.case.name}: {outcome.seen.description}"


def decode_text(decode: DecodeResult) -> str:
    watchdog = "none"
    if decode.watchdog:
        watchdog = f"{decode.watchdog_queries} queries inside the captures"
    devices = "1 device" if decode.devices == 1 else f"{decode.devices} devices"
    lines = [f"decode   {devices}, {decode.steps} steps, watchdog: {watchdog}"]
    for entry in decode.batches:
        check = entry.check
        lines.append(
            f"batch {check.batch:<3d}eager {entry.eager_tokens_per_second:,.0f} tokens/s, "
            f"replay {entry.replay_tokens_per_second:,.0f}; "
            + (check.problem or f"{check.tokens_checked} tokens replayed as eager, "
               f"{check.reference_checked} as the host's float64 reference")
        )  # fmt: skip
    return "\n".join(lines)


def fresh_text(decodes: Sequence[DecodeResult]) -> str:
    """In how many processes replay gave what eager gave."""
    wrong = [str(number) for number, decode in enumerate(decodes, 1) if decode.problem]
    right = f"{len(decodes) - len(wrong)} of {len(decodes)} processes replayed as eager"
    return f"fresh    {right}" + (f"; wrong: {', '.join(wrong)}" if wrong else "")


def judgement_text(judgement: Judgement) -> str:
    text = f"judged   {judgement.verdict}: {judgement.sentence}"
    return f"{text}\nwarning  {judgement.warning}" if judgement.warning else text


def as_json(
    command: str | None, findings: Findings, code: ExitCode, sentence: str
) -> dict[str, object]:
    """The whole result; keys are always there, null or empty where nothing was found."""
    runtime, decode, judgement = findings.runtime, findings.decode, findings.judgement
    return {
        "schema_version": SCHEMA_VERSION,
        "command": command,
        "exit_code": int(code),
        "exit_name": code.name.lower(),
        "sentence": sentence,
        "runtime": runtime.as_json() if runtime else None,
        "devices": [
            {"index": entry.ordinal, "name": entry.name, "gfx": entry.gfx}
            for entry in findings.devices
        ],
        "capture": _capture_json(findings.capture) if findings.capture else None,
        "guard": _guard_json(findings),
        "replay": replay_report.as_json(findings.replay) if findings.replay else None,
        "decode": _decode_json(decode) if decode else None,
        "fresh": [decode.problem or "as eager" for decode in findings.fresh],
        "judgement": {
            "all_reduce": judgement.all_reduce,
            "verdict": judgement.verdict,
            "sentence": judgement.sentence,
            "warning": judgement.warning,
        }
        if judgement
        else None,
        "notes": findings.notes,
        "seconds": {name: round(value, 3) for name, value in findings.seconds.items()},
    }


def _capture_json(verdict: Verdict) -> dict[str, object]:
    return {
        "verdict": "safe" if verdict.safe else "unsafe",
        "bugs": verdict.bugs,
        "cases": [
            {**_outcome_json(entry), "survived": entry.seen.survived, "bug": bug_of(entry)}
            for entry in verdict.of_kind(Kind.MUST_SURVIVE)
        ],
        "controls": [
            {**_outcome_json(entry), "enforced": entry.seen.refused}
            for entry in verdict.of_kind(Kind.CONTROL)
        ],
        "information": [
            {**_outcome_json(entry), "survived": entry.seen.survived}
            for entry in verdict.of_kind(Kind.INFORMATION)
        ],
    }


def _guard_json(findings: Findings) -> dict[str, object]:
    verdict = findings.guarded
    return {
        "available": Path(guard.PATH).is_file(),
        "loaded": findings.guard_path is not None,
        "path": findings.guard_path,
        "verdict": ("holds" if verdict.safe else "fails") if verdict else None,
        "cases": [
            {**_outcome_json(entry), "survived": entry.seen.survived}
            for entry in (verdict.of_kind(Kind.MUST_SURVIVE) if verdict else [])
        ],
    }


def _outcome_json(outcome: Outcome) -> dict[str, object]:
    mode = outcome.case.thread_mode
    return {
        "capture_mode": MODE_NAME[outcome.case.capture_mode],
        "thread_mode": "same thread" if mode == SAME_THREAD else MODE_NAME[mode],
        "call": outcome.case.call.value,
        "call_status": outcome.seen.call_status,
        "end_capture_status": outcome.seen.end_status,
        "description": outcome.seen.description,
    }


def _decode_json(decode: DecodeResult) -> dict[str, object]:
    return {
        "devices": decode.devices,
        "steps": decode.steps,
        "watchdog": decode.watchdog,
        "watchdog_queries": decode.watchdog_queries,
        "batches": [
            {
                "batch": entry.check.batch,
                "tokens_per_second": {
                    "eager": round(entry.eager_tokens_per_second, 1),
                    "replay": round(entry.replay_tokens_per_second, 1),
                },
                "tokens_checked": entry.check.tokens_checked,
                "reference_checked": entry.check.reference_checked,
                "distinct_tokens": entry.check.distinct_tokens,
                "problem": entry.check.problem,
            }
            for entry in decode.batches
        ],
    }
