"""Collects the signs of failure in a server's log, and says which of them came first.

Not every loud line counts the same: a process that dies by a signal, an exception that ends it or a
GPU's fault is a cause; that a peer is gone, or that the launcher lost a child, is a consequence.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from typing import NamedTuple

from serve_probe import causes
from serve_probe.causes import Cause, cause_of
from serve_probe.exception_reports import Report, reports
from serve_probe.log_lines import Line
from serve_probe.server_log import ServerLog
from serve_probe.verdict import Stage, State


class Weight(enum.IntEnum):
    """How much a sign says of the cause; of equal ones the earlier counts."""

    ENDS = 0
    """It ends a process."""
    SAID = 1
    """An exception or an error that may have been survived."""
    LOST_ANOTHER = 2
    """A process complains of another's end."""
    SUMMARY = 3
    """Who started the processes says that one failed."""


class Sign(NamedTuple):
    """One sign. `line` is its number, `quoted` the line to show; `signal` ended the process.

    `process` is a key of LogLines.processes; `code` what the sign itself names: a GPU's exception,
    the seconds of a timeout.
    """

    line: int
    weight: Weight
    cause: Cause | None
    quoted: str
    rank: int | None = None
    process: str | None = None
    signal: int | None = None
    code: str | None = None


GPU_HANG = Cause(
    "gpu-hang",
    re.compile(r"HW Exception by GPU node-(?P<node>\d{1,4}).{0,120}?reason ?: ?(?P<code>[\w ]+)"),
    State.ABORTED_DECODING,
    "The driver gave a GPU up as hung (HW Exception, GPU hang)",
    "Look in `dmesg` for the reset and for ring timeouts, check firmware and driver, and see "
    "whether it is always the same GPU.",
)
MEMORY_FAULT = Cause(
    "memory-fault",
    re.compile(r"Memory access fault by GPU node-(?P<node>\d{1,4})(?P<code>)"),
    State.ABORTED_DECODING,
    "A kernel touched memory that is not mapped (memory access fault)",
    "Try again with {own_all_reduce}, then with {eager}, to see which of them it needs.",
)
QUEUE_OUT_OF_RESOURCES = Cause(
    "queue-out-of-resources",
    re.compile(r"(?P<node>)HSA_STATUS_ERROR_OUT_OF_RESOURCES.{0,300}?(?P<code>)"),
    State.OUT_OF_MEMORY,
    "A queue of the GPU was aborted since memory or scratch ran out",
    "Lower {memory}; see first whether another process holds memory (rocm-smi --showmeminfo vram).",
)
GPU_EXCEPTION = Cause(
    "gpu-exception",
    re.compile(
        r"(?P<node>)HSA_STATUS_ERROR_\w+(?:.{0,300}?(?:[cC]ode: ?)?(?P<code>0x[0-9a-fA-F]{1,8})\b)?"
    ),
    State.ABORTED_DECODING,
    "The GPU raised an exception",
    "Try again with {own_all_reduce}, then with {eager}, to see which of them it needs.",
)
_RUNTIME = (GPU_HANG, MEMORY_FAULT, QUEUE_OUT_OF_RESOURCES, GPU_EXCEPTION)
OWN_WATCHDOG = Cause(
    "server-watchdog",
    re.compile(r"(?!)"),
    State.HUNG,
    "The server hung",
    "Its own watchdog ended it. Look at the stacks above that line (py-spy): ranks that wait for "
    "one another show different collectives; where a kernel was being compiled, give it longer "
    "(--watchdog-timeout).",
)
_FATAL = re.compile(r"Fatal Python error: (?P<name>.{0,300})|!!+ Segfault encountered")
_SIGNALS = {
    "Segmentation fault": 11,
    "Segfault": 11,
    "Bus error": 7,
    "Floating point exception": 8,
    "Illegal instruction": 4,
}
SIGABRT, SIGKILL = 6, 9
# SIGINT, SIGQUIT, SIGTERM: somebody asked it to end, the launcher too after another's failure.
_ASKED_TO_END = (2, 3, 15)
_WATCHDOG_ENDED = re.compile(r"watchdog thread terminated with exception: (.+)")
_WHAT = re.compile(r"^ {0,4}what\(\): +(.+)")
_TIMEOUT = re.compile(r"collective operation timeout.{0,600}?Timeout\(ms\)=(\d{1,10})")
_GROUP_RANK = re.compile(r"\[(?:PG [^\]]{0,60})?Rank (\d{1,6})\]")
_BIND = re.compile(r"^(?:ERROR: +)?\[[eE]rrno \d{1,3}\] .+")
_EXIT_CODE = re.compile(r"^Exit code: (-?\d{1,4})$")
_STATUS_OF_A_LAUNCH = re.compile(r"BLAS(?:LT)?_STATUS_\w+ when calling .(?!\w*[cC]reate)")
_LOOKED_UP = re.compile(r"^(?:[\w.]*\.)?(?:KeyError|StopIteration|Empty|CancelledError)\b")
_ASSERTION = re.compile(r"\bAssertion .{1,300}? failed|: Device-side assertion")


def signs(log: ServerLog) -> list[Sign]:
    """All signs, the first cause first."""
    found = [*_of_reports(log), *_of_lines(log)]
    return sorted(found, key=lambda sign: (sign.weight, sign.line))


def _of_reports(log: ServerLog) -> Iterator[Sign]:
    summary = log.said.summary
    for report in reports(log):
        line, _ = report.first
        cause = _cause_of_chain(report)
        if report.ends:
            weight = Weight.ENDS
        elif summary.search(report.text) or "warmup error" in report.head:
            weight = Weight.SUMMARY
        else:
            weight = Weight.SAID
        if cause and cause.consequence:
            weight = max(weight, Weight.LOST_ANOTHER)
        rank = report.rank
        yield Sign(report.line, weight, cause, log.lines[line], rank, report.process)


def _cause_of_chain(report: Report) -> Cause | None:
    """Of the first exception; what only says that a launch failed does not say why."""
    texts = [text for _, text in report.links] or [report.head]
    first = cause_of(texts[0])
    if first is None and _LOOKED_UP.match(texts[0]):
        # What was looked up and not there, and then made: the making is what failed.
        return next(filter(None, map(cause_of, texts[1:])), None)
    later = "\n".join(texts[1:])
    if _STATUS_OF_A_LAUNCH.search(texts[0]) and causes.BROKEN_CAPTURE.pattern.search(later):
        return causes.BROKEN_CAPTURE
    return first


def _of_lines(log: ServerLog) -> Iterator[Sign]:
    for number, entry in enumerate(log.entries):
        text = entry.message
        died = log.said.died.search(text)
        if died:
            yield from _death(log, number, died)
        ended = log.said.watchdog.search(text) if entry.own else None
        if ended:
            name, seconds = ended[1] or "Scheduler", ended[2]
            yield _sign(log, number, entry, OWN_WATCHDOG, process=name, code=seconds)
        if entry.level in ("I", "W"):
            continue
        if entry.own and entry.level is None:
            if _BIND.match(text):
                yield Sign(number, Weight.SAID, cause_of(text), log.lines[number])
            continue
        yield from _of_runtime(log, number, entry)


def _of_runtime(log: ServerLog, number: int, entry: Line) -> Iterator[Sign]:
    """Of a line that no logger of the server wrote: the GPU's runtime, Python, torch, a library."""
    text = entry.message
    timeout, ended = _TIMEOUT.search(text), _WATCHDOG_ENDED.search(text)
    fatal, what = _FATAL.search(text), _WHAT.match(text)
    runtime = next((cause for cause in _RUNTIME if cause.pattern.search(text)), None)
    if timeout:
        seconds = str(int(timeout[1]) // 1000)
        yield _sign(log, number, entry, causes.COLLECTIVE_TIMEOUT, code=seconds)
    elif ended:
        yield _sign(log, number, entry, _cause_of_watchdog(log, number, ended[1]))
    elif runtime:
        found = runtime.pattern.search(text)
        code = found["code"] if found else None
        yield _sign(log, number, entry, runtime, signal=SIGABRT, code=code)
    elif fatal:
        said = fatal["name"] or "Segfault"
        signal = next((n for name, n in _SIGNALS.items() if name in said), SIGABRT)
        yield _sign(log, number, entry, None, signal=signal)
    elif what:
        cause = cause_of(what[1])
        if cause and not cause.consequence:
            yield _sign(log, number, entry, cause)
    elif text == "Killed":
        yield Sign(number, Weight.SAID, None, text, signal=SIGKILL)
    elif _BIND.match(text):
        yield Sign(number, Weight.SAID, cause_of(text), log.lines[number])


def _cause_of_watchdog(log: ServerLog, number: int, text: str) -> Cause | None:
    """Of what ended torch's watchdog: a call of its own that a capture forbids is the known bug."""
    after = log.lines[number + 1] if number + 1 < len(log.lines) else ""
    cause = cause_of(f"{text}\n{after}")
    if cause and cause.name == "capture-unsupported":
        return causes.CAPTURED_EVENT if "Event" in after else WATCHDOG_IN_CAPTURE
    return cause


WATCHDOG_IN_CAPTURE = causes.Cause(
    "watchdog-in-capture",
    re.compile(r"(?!)"),
    State.CAPTURE_INVALIDATED,
    "A graph capture was invalidated by the collective library's watchdog thread",
    causes.BROKEN_CAPTURE.advice,
    causes.BROKEN_CAPTURE.advisories,
)


def _sign(
    log: ServerLog,
    number: int,
    entry: Line,
    cause: Cause | None,
    process: str | None = None,
    signal: int | None = None,
    code: str | None = None,
) -> Sign:
    rank = entry.rank
    if rank is None and signal is None and process is None:
        in_group = _GROUP_RANK.search(entry.message)
        rank = int(in_group[1]) if in_group else None
    weight = Weight.LOST_ANOTHER if cause and cause.consequence else Weight.ENDS
    return Sign(number, weight, cause, log.lines[number], rank, process, signal, code or None)


def _death(log: ServerLog, number: int, died: re.Match[str]) -> Iterator[Sign]:
    """What the launcher says of a child's end."""
    status = died["status"]
    if status is None:  # older releases say it in a line of its own
        later = map(_EXIT_CODE.match, (e.message for e in log.entries[number + 1 : number + 20]))
        status = next((found[1] for found in later if found), None)
    given = died["rank"] or died["child"]
    rank = int(given) if given else None
    process = died["process"] or ("" if given else None)
    line = log.lines[number]
    code = int(status) if status else None
    if code is None or code >= 0 or -code in _ASKED_TO_END:
        yield Sign(number, Weight.SUMMARY, None, line, rank, process, code=status)
    else:
        yield Sign(number, Weight.ENDS, None, line, rank, process, -code)


def assertion_before(log: ServerLog, line: int) -> str | None:
    """The line of a kernel's assertion, where one failed before a line."""
    for number in range(min(line, len(log.lines) - 1), -1, -1):
        if not log.entries[number].own and _ASSERTION.search(log.lines[number]):
            return log.lines[number]
    return None


def stopping_on_purpose(log: ServerLog, sign: Sign) -> bool:
    """Whether a sign came when the server had been told to stop, and was doing so."""
    return log.stage_at(sign.line, sign.rank) is Stage.STOPPING
