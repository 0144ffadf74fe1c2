"""Collects the signs of failure in a server's log, and says which of them came first.

Not every loud line counts the same: a process that dies by a signal, an exception that ends it or a
GPU's fault is a cause; that a peer is gone, or that the launcher lost a child, is a consequence.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from typing import NamedTuple

from serve_probe import causes, faults
from serve_probe.causes import Cause, cause_of
from serve_probe.exception_reports import Report, reports
from serve_probe.log_lines import Line
from serve_probe.server_log import ServerLog
from serve_probe.verdict import Stage


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


_ENDED_ITSELF = re.compile(r"SystemExit: (?:\d|$)|SystemExit$")
_READ_TIMEOUT = re.compile(r"ReadTimeout|Read timed out")
# Python's, torch's, UCX's and absl's words for a signal.
_FATAL = re.compile(
    r"Fatal Python error: (?P<python>.{0,300})|!! (?P<torch>Segfault) encountered"
    r"|^\[\S{1,120} {0,8}:\d{1,10} {0,8}:\d{1,10}\] Caught signal \d{1,2} \((?P<ucx>[\w ]{1,40})"
    r"|^\*\*\* (?P<absl>SIG[A-Z]{2,5}) received"
)
_SIGNALS = {
    "Segmentation fault": 11,
    "Segfault": 11,
    "SIGSEGV": 11,
    "Bus error": 7,
    "SIGBUS": 7,
    "SIGFPE": 8,
    "SIGILL": 4,
    "SIGTRAP": 5,
    "SIGTERM": 15,
    "Floating": 8,
    "Illegal instruction": 4,
}
SIGABRT, SIGKILL = 6, 9
LATE_LINES = 20
_LINES_OF_AN_ASSERTION = 50
# SIGHUP, SIGINT, SIGQUIT, SIGTERM: somebody asked it to end; so does a launcher, after a failure.
ASKED_TO_END = (1, 2, 3, 15)
_WATCHDOG_ENDED = re.compile(r"watchdog thread terminated with exception: (.+)")
_WHAT = re.compile(r"^ {0,4}what\(\): {1,8}(.+)")
_TIMEOUT = re.compile(r"collective operation timeout.{0,600}?Timeout\(ms\)=(\d{1,10})")
_WORLD_RANK = re.compile(r"\[Rank (\d{1,6})\]")
_STUCK = re.compile(r"ProcessGroupNCCL watchdog hang|watchdog got stuck for (\d{1,9}) seconds")
# What uvicorn says of why it does not start: it ends in good order then, as if it had been told to.
_NO_START = re.compile(
    r"^(?:ERROR: {1,8})?\[[eE]rrno -?\d{1,3}\] ."
    r"|^ERROR: {1,8}(?:\[SSL\]|Application startup failed)"
)
# Libraries that print their error and end the process.
_PRINTED = re.compile(
    r"\[AITER\].{0,600}\[HIP error\]|^Failed: \w{1,8} error .+"
    r"|^(?:HIP|CUDA) error (?:hip|cuda)Error",
    re.IGNORECASE,
)
_EXIT_CODE = re.compile(r"^Exit code: (-?\d{1,4})$")
_STATUS_OF_A_LAUNCH = re.compile(
    r"BLAS(?:LT)?_STATUS_(?:EXECUTION_FAILED|INTERNAL_ERROR) when calling .(?!\w{0,80}[cC]reate)"
)
_LOOKED_UP = re.compile(r"^(?:[\w.]{0,200}\.)?(?:KeyError|StopIteration|Empty|CancelledError)\b")
_ASSERTION = re.compile(r"\bAssertion .{1,300}? failed|: Device-side assertion")


def signs(log: ServerLog) -> list[Sign]:
    """All signs, the first cause first."""
    found = [*_of_reports(log), *_of_lines(log)]
    # A launcher can be quicker to say that a child aborted than the child to say why.
    why = [sign.line for sign in found if sign.cause in faults.RUNTIME]

    def order(sign: Sign) -> tuple[int, int]:
        told = sign.cause is None and sign.signal == SIGABRT
        after = [line for line in why if 0 < line - sign.line <= LATE_LINES] if told else []
        return sign.weight, after[0] + 1 if after else sign.line

    return sorted(found, key=order)


def _of_reports(log: ServerLog) -> Iterator[Sign]:
    summary = log.said.summary
    for report in reports(log):
        cause, line = _cause_of_chain(report, log.causes)
        warmed_up = log.said.warm_up_failed.search(report.head)
        if warmed_up:
            # A request of its own to itself, which had no answer, or a wrong one.
            cause = faults.WARM_UP_UNANSWERED if _READ_TIMEOUT.search(report.text) else None
        if report.ends and not summary.search(report.first[1]):
            weight = Weight.ENDS
        elif log.said.died.search(report.text):
            continue  # the line itself is a sign
        elif summary.search(report.text) or warmed_up or _ENDED_ITSELF.match(report.first[1]):
            weight = Weight.SUMMARY
        else:
            weight = Weight.SAID
        if cause and cause.consequence:
            weight = max(weight, Weight.LOST_ANOTHER)
        rank = report.rank
        yield Sign(report.line, weight, cause, log.lines[line], rank, report.process)


def _cause_of_chain(report: Report, possible: tuple[Cause, ...]) -> tuple[Cause | None, int]:
    """Of the first exception, with its line; who only says that a launch failed, says not why."""
    links = report.links or [(report.line, report.head)]
    line, text = links[0]
    first = cause_of(text, possible)
    if first is None and _LOOKED_UP.match(text):
        # What was looked up and not there, and then made: the making is what failed.
        made = [(cause_of(later, possible), number) for number, later in links[1:]]
        known = [one for one in made if one[0] not in (None, causes.BROKEN_CAPTURE)]
        return known[0] if known else (None, line)
    later = "\n".join(text for _, text in links[1:])
    if _STATUS_OF_A_LAUNCH.search(text) and causes.BROKEN_CAPTURE.pattern.search(later):
        return causes.BROKEN_CAPTURE, line
    return first, line


def _of_lines(log: ServerLog) -> Iterator[Sign]:
    for number, entry in enumerate(log.entries):
        text = entry.message
        died = log.said.died.search(text)
        if died:
            yield from _death(log, number, died)
        ended = log.said.watchdog.search(text)
        if ended:
            name, seconds = ended[1] or "", ended[2]
            yield _sign(log, number, entry, faults.OWN_WATCHDOG, process=name, code=seconds)
        if entry.level in ("I", "W"):
            continue
        if entry.own and entry.level is None:
            if _NO_START.match(text):
                yield Sign(number, Weight.ENDS, cause_of(text, log.causes), log.lines[number])
            continue
        yield from _of_runtime(log, number, entry)


def _of_runtime(log: ServerLog, number: int, entry: Line) -> Iterator[Sign]:
    """Of a line that no logger of the server wrote: the GPU's runtime, Python, torch, a library."""
    text = entry.message
    timeout, ended = _TIMEOUT.search(text), _WATCHDOG_ENDED.search(text)
    fatal, what = _FATAL.search(text), _WHAT.match(text)
    runtime = next((cause for cause in faults.RUNTIME if cause.pattern.search(text)), None)
    stuck = _STUCK.search(text)
    if stuck:
        yield _sign(log, number, entry, causes.COLLECTIVE_TIMEOUT, code=stuck[1])
    elif timeout:
        seconds = str(int(timeout[1]) // 1000)
        yield _sign(log, number, entry, causes.COLLECTIVE_TIMEOUT, code=seconds)
    elif ended:
        yield _or_aborted(_sign(log, number, entry, _cause_of_watchdog(log, number, ended[1])))
    elif runtime:
        found = runtime.pattern.search(text)
        code = found.groupdict().get("code") if found else None
        yield _sign(log, number, entry, runtime, signal=SIGABRT, code=code)
    elif fatal:
        name = next(filter(None, fatal.groups()), "")
        signal = next((n for word, n in _SIGNALS.items() if word in name), SIGABRT)
        sign = _sign(log, number, entry, None, signal=signal)
        asked = signal in ASKED_TO_END
        yield sign._replace(weight=Weight.SUMMARY) if asked else sign
    elif what:
        cause = cause_of(what[1], log.causes)
        if cause and not cause.consequence:
            yield _or_aborted(_sign(log, number, entry, cause))
    elif _PRINTED.search(text):
        cause = cause_of(text, log.causes)
        weight = Weight.LOST_ANOTHER if cause and cause.consequence else Weight.SAID
        yield Sign(number, weight, cause, log.lines[number])
    elif text == "Killed":
        yield Sign(number, Weight.SAID, None, text, signal=SIGKILL)
    elif _NO_START.match(text):
        yield Sign(number, Weight.ENDS, cause_of(text, log.causes), log.lines[number])


def _or_aborted(sign: Sign) -> Sign:
    """With the signal that follows such a line, where the line names no rank: the launcher may."""
    return sign._replace(signal=SIGABRT) if sign.rank is None and sign.cause else sign


def _cause_of_watchdog(log: ServerLog, number: int, text: str) -> Cause | None:
    """Of what ended torch's watchdog: a call of its own that a capture forbids is the known bug."""
    after = log.lines[number + 1] if number + 1 < len(log.lines) else ""
    cause = cause_of(f"{text}\n{after}", log.causes)
    if cause and cause.name == "capture-unsupported":
        return causes.CAPTURED_EVENT if "Event" in after else faults.WATCHDOG_IN_CAPTURE
    return cause


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
        named = _WORLD_RANK.search(entry.message)
        rank = int(named[1]) if named else None
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
    if code is None or code >= 0 or -code in ASKED_TO_END:
        yield Sign(number, Weight.SUMMARY, None, line, rank, process, code=status)
    elif -code == SIGKILL and _gave_up_before(log, number):
        yield Sign(number, Weight.SUMMARY, None, line, rank, process, -code)
    else:
        yield Sign(number, Weight.ENDS, None, line, rank, process, -code)


def _gave_up_before(log: ServerLog, number: int) -> bool:
    """Whether the launcher had begun to kill its processes."""
    return log.gave_up is not None and log.gave_up < number


def assertion_before(log: ServerLog, line: int) -> str | None:
    """The line of a kernel's assertion, where one failed before a line."""
    last = min(line, len(log.lines) - 1)
    for number in range(last, max(last - _LINES_OF_AN_ASSERTION, -1), -1):
        if not log.entries[number].own and _ASSERTION.search(log.lines[number]):
            return log.lines[number]
    return None


def stopping_on_purpose(log: ServerLog, sign: Sign) -> bool:
    """Whether a sign came when the server had been told to stop, and was doing so."""
    return log.stage_at(sign.line, sign.rank) is Stage.STOPPING
