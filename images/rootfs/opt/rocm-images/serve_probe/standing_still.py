"""Verdicts on servers that stand still: not ready in time, or ready and without an answer."""

from __future__ import annotations

import re

from serve_probe.place import Place, verdict_at
from serve_probe.server_log import ServerLog
from serve_probe.signs import Sign, Weight
from serve_probe.verdict import Ending, Stage, State, Verdict

_AITER_BUILDS = re.compile(r"waiting for baton release|\] start build \[")
_FINISHED = "finish build ["
_BUILDS_BEFORE = 200
WAITS_FOR_A_BUILD = (
    "AITER builds a kernel, or waits for a lock that another process holds: give it longer; where "
    "no compiler runs, the lock is of a dead one, and is to be deleted."
)
_ANSWERED = re.compile(r'" 200\b')


def unanswered(log: ServerLog, ending: Ending) -> int | None:
    """The last health check without an answer, where no sign of life came after it."""
    if ending.stopped:
        return None
    last = max((number for number, _ in log.matches(log.said.unhealthy)), default=None)
    if last is None or log.decoded_before(len(log.lines), since=last) or log.went_on(last):
        return None
    answered = any(number > last for number, _ in log.matches(_ANSWERED))
    return None if answered else last


def builds_before(log: ServerLog, line: int) -> bool:
    """Whether AITER was building a kernel shortly before a line, or waited for one."""
    for text in reversed(log.lines[max(line - _BUILDS_BEFORE, 0) : line + 1]):
        if _FINISHED in text:
            return False
        if _AITER_BUILDS.search(text):
            return True
    return False


def hung(log: ServerLog, at: int | None) -> Verdict:
    """It stands still: at a line that says so, or at its last one."""
    last = len(log.lines) - 1 if at is None else at
    place = Place(log, last, None)
    joining = any(log.matches(log.said.joining)) and not any(log.matches(log.said.joined))
    advisories: tuple[str, ...] = ()
    cause = "hung"
    advice = (
        "Look at each rank with `py-spy dump`: ranks that wait for one another show different "
        "collectives. Where a kernel was being compiled, give it longer."
    )
    if builds_before(log, last):
        cause, advisories, advice = "compiling", ("empty-prebuild",), WAITS_FOR_A_BUILD
    elif place.stage is Stage.LOADING:
        advice = "The model's files come slowly, or not at all: look at the disk or the network."
    elif place.stage is Stage.STARTING and joining:
        cause, advisories = "ranks-do-not-join", ("scratch-reclaim",)
        advice = (
            "The ranks did not find each other: run it again with NCCL_DEBUG=INFO, and look at "
            "each with `py-spy dump`."
        )
    quoted = log.tail(1) if at is None else log.lines[at]
    sign = Sign(last, Weight.ENDS, None, quoted)
    sentence = f"The server hung: it did not go on in time, {place.words}. {advice}"
    return verdict_at(log, sign, place, State.HUNG, sentence, advisories, cause, quoted)
