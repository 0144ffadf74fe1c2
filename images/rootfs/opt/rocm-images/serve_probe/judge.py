"""Judges a server by its log and its end: what happened, where, what to do next.

A launcher's exit status says nearly nothing (a clean stop by SIGTERM can be -9, and 0 can follow
the death of the engine), and some advise a lower share of memory, and name the OOM killer, whatever
went wrong: so neither is searched for. docs/serve.md has the lines that count,
tests/data/serve_logs whole logs.
"""

from __future__ import annotations

from dataclasses import replace

from image_servers import LogLines
from serve_probe import causes, faults
from serve_probe import signs as kinds
from serve_probe.advised import OF_BROKEN_GRAPHS, advisories_of_fault
from serve_probe.deaths import asked_to_end, died, killed, vanished
from serve_probe.place import MOST_QUOTED, Place, aborted_state, filled, verdict_at, who
from serve_probe.server_log import ServerLog
from serve_probe.signs import LATE_LINES, SIGKILL, Sign, Weight, signs
from serve_probe.standing_still import WAITS_FOR_A_BUILD, builds_before, hung, unanswered
from serve_probe.verdict import Ending, Stage, State, Verdict

_SIGTERM = 15


def judge(text: str, ending: Ending, said: LogLines | None = None) -> Verdict:
    """The verdict on a log, whole or cut off; `said` None: whose it is, is found. Never raises."""
    return judge_log(ServerLog(text, said), ending)


def judge_log(log: ServerLog, ending: Ending) -> Verdict:
    """The same, of a log that has been read; where it is of several servers, of the last."""
    servers, last = log.last_start
    verdict = _judge_one(last, ending)
    if servers == 1:
        return verdict
    sentence = f"Of {servers} servers in this log, the last one: {verdict.sentence}"
    return replace(verdict, sentence=sentence)


def _judge_one(log: ServerLog, ending: Ending) -> Verdict:
    found = signs(log)
    # Told to end, by whoever: a clean end can have the status of a SIGKILL all the same.
    told = ending.stopped or log.graceful
    by_itself = ending.status is not None and not told
    if log.ready and not by_itself:
        # What is said at the end of a server that was told to end harms nobody.
        found = [sign for sign in found if not kinds.stopping_on_purpose(log, sign)]
    ends = [sign for sign in found if sign.weight is Weight.ENDS]
    if ends and ends[0].cause is causes.BROKEN_CAPTURE:
        ends = [*_what_broke_it(log, ends[0], found), *ends]
    if ends:
        return _judged(log, ends[0], found)
    asked = next(log.matches(log.said.asked_to_end), None)
    if asked is not None and not any(s.cause for s in found if s.line < asked[0]):
        line = log.lines[asked[0]]
        return asked_to_end(
            log, Sign(asked[0], Weight.ENDS, None, line, None, "launcher", _SIGTERM)
        )
    silent = unanswered(log, ending)
    if ending.overdue or silent is not None:
        return hung(log, silent)
    # After a child's failure the launcher kills itself, and says so.
    killed_itself = log.gave_up is not None or any(sign.weight > Weight.SAID for sign in found)
    if killed_itself:
        found = [sign for sign in found if sign.quoted != "Killed"]
    ready_at = log.first(log.said.ready)
    explained = any(
        sign.cause and sign.weight is Weight.SAID and (ready_at is None or sign.line > ready_at)
        for sign in found
    )
    if by_itself and (ending.status or 0) < 0 and not killed_itself and not explained:
        signal = -(ending.status or 0)
        last = Sign(len(log.lines) - 1, Weight.ENDS, None, log.tail(1), None, "launcher", signal)
        if signal in kinds.ASKED_TO_END:
            return asked_to_end(log, last)
        return _judged(log, last, [])
    failed = any(sign.weight > Weight.SAID for sign in found)
    # It killed its processes, and neither it nor who started it says that it was to.
    gave_up = killed_itself and not told and log.stage_at(len(log.lines) - 1) is not Stage.STOPPING
    if log.ready and not by_itself and not failed and not gave_up:
        return Verdict(
            State.READY,
            "The server became ready and no process of it failed.",
            stage=log.stage_at(len(log.lines) - 1),
        )
    if ready_at is not None:
        # It became ready in spite of these.
        found = [sign for sign in found if sign.line > ready_at] or found
    gone = _vanished(log, found)
    if gone is not None:
        return vanished(log, gone)
    if found:
        return _judged(log, found[0], found)
    return _unknown(log, ending)


def _vanished(log: ServerLog, found: list[Sign]) -> Sign | None:
    """Where a server lost a process of which no line says how it ended.

    Of a log without its beginning nobody knows what it said.
    """
    whole = log.ready or any(log.matches(log.said.starts))
    told = any(sign.weight is not Weight.SUMMARY or sign.code for sign in found)
    gone = next(log.matches(log.said.vanished), None)
    if told or gone is None or not whole:
        return None
    line, _ = gone
    known = next((sign for sign in found if sign.line == line), None)
    return known or Sign(line, Weight.SUMMARY, None, log.lines[line])


def _judged(log: ServerLog, sign: Sign, found: list[Sign]) -> Verdict:
    """The verdict for the sign that is the cause."""
    sign = _attributed(log, sign, found)
    place = Place(log, sign.line, sign.rank)
    cause = sign.cause
    if cause is None and sign.signal == SIGKILL:
        return killed(log, sign)
    if cause is None and sign.signal in kinds.ASKED_TO_END:
        return asked_to_end(log, sign)
    if cause is None and sign.signal is not None:
        return died(log, sign, place)
    if cause is None:
        return _exception(log, sign, place)
    state, advisories, quoted, name = cause.state, cause.advisories, sign.quoted, cause.name
    said, advice = cause.said, cause.advice
    if cause in (faults.GPU_HANG, faults.MEMORY_FAULT, faults.GPU_EXCEPTION):
        state = aborted_state(place)
        advisories = advisories_of_fault(log, cause, sign, place)
    if cause is faults.GPU_EXCEPTION or name == "device-assertion":
        assertion = kinds.assertion_before(log, sign.line)
        if assertion:
            quoted, name, advisories = assertion, "device-assertion", ()
            said, advice = "A kernel's own assertion failed", _DEVICE_ASSERTION.advice
    if cause is faults.GPU_EXCEPTION and sign.code and quoted is sign.quoted:
        said += f" ({sign.code})"
        said += ", which a broken graph can cause" if sign.code == OF_BROKEN_GRAPHS else ""
    if cause.state is State.HUNG and sign.code:
        said += f" ({sign.code} s)"
    if cause is causes.OUT_OF_MEMORY:
        serving = place.stage is Stage.SERVING
        advisories = ("ipc-leak",) if serving and "HIP" in sign.quoted else ()
        advice += f" {_LESS_MEMORY.get(place.stage, 'Lower {memory}.')}"
    if cause is faults.OWN_WATCHDOG and builds_before(log, sign.line):
        name, advisories, advice = "compiling", ("empty-prebuild",), WAITS_FOR_A_BUILD
    more = log.said.more_advice.get(name)
    if more and any(more.sign.search(line) for line in log.lines):
        advisories, advice = (*more.advisories, *advisories), f"{more.advice} {advice}"
    elif more:
        advice += f" {more.advice}"
    advice = filled(log, advice)
    if state is State.ABORTED_IN_CAPTURE:
        advice += " That is not the OOM killer. Run `graph-probe capture` in this container."
    return verdict_at(
        log, sign, place, state, f"{said}, {place.words}. {advice}", advisories, name, quoted
    )


def _what_broke_it(log: ServerLog, broken: Sign, found: list[Sign]) -> list[Sign]:
    """What broke a capture that "a previous error" broke: said before it, or by another rank."""
    capture = log.open_capture(broken.line, broken.rank)
    if capture is None:
        return []
    before = [
        sign._replace(rank=broken.rank, process=broken.process)
        for sign in found
        if sign.weight is Weight.SAID
        and capture.line < sign.line < broken.line
        and sign.cause not in (None, causes.BROKEN_CAPTURE)
        and sign.rank in (None, broken.rank)
    ]
    others = [
        sign
        for sign in found
        if sign.weight is Weight.ENDS
        and 0 < sign.line - broken.line <= LATE_LINES
        and sign.process is not None
        and sign.rank != broken.rank
        and sign.cause is not None
        and sign.cause.state is not State.CAPTURE_INVALIDATED
    ]
    return [*before, *others]


_LESS_MEMORY = {
    Stage.LOADING: "The weights or the cache are too large for these GPUs: use more of them, "
    "smaller weights, or a lower {memory}.",
    Stage.CAPTURING: "Lower {graph_sizes}, or {memory}.",
}
_DEVICE_ASSERTION = causes.named("device-assertion")


def _attributed(log: ServerLog, sign: Sign, found: list[Sign]) -> Sign:
    """With the rank and the process that the launcher gives for the death that a sign is of."""
    if sign.rank is not None:
        return sign
    if sign.signal is None:
        # A request that failed, or an address that is taken, is no rank's.
        of_a_rank = sign.weight is Weight.SAID and "rrno" not in sign.quoted and not log.ready
        if sign.process is not None or not of_a_rank:
            return sign
        told = (one for one in found if one.weight is Weight.SUMMARY and one.rank is not None)
        dead = next((one for one in told if one.line > sign.line), sign)
        return sign._replace(rank=dead.rank, process=dead.process)
    for other in sorted(found, key=lambda one: one.line):
        names = other.rank is not None or other.process is not None
        fits = other.signal == sign.signal or (other.weight is Weight.SUMMARY and not other.code)
        if other.line > sign.line - LATE_LINES and other.cause is None and names and fits:
            return sign._replace(rank=other.rank, process=other.process)
    return sign


def _exception(log: ServerLog, sign: Sign, place: Place) -> Verdict:
    """An exception, or a death with an exit code, that has no entry in causes.py."""
    line = sign.quoted.strip()[:MOST_QUOTED]
    code = f", with exit code {sign.code}" if sign.code else ""
    sentence = (
        f"{who(log, sign)} failed {place.words}{code}, in a way that this judge does not know. "
        "What stands above its first error, a stack mostly, names the file and the call: search "
        f"the issues of whose code that is. Its first error: {line}"
    )
    return verdict_at(log, sign, place, State.UNKNOWN, sentence, (), "exception", line)


def _unknown(log: ServerLog, ending: Ending) -> Verdict:
    """No sign of failure at all, and yet it is not there, or not ready."""
    place = Place(log, len(log.lines) - 1, None)
    line = log.tail(1).strip()[:MOST_QUOTED]
    if not any(map(str.strip, log.lines)):
        ended = "" if ending.status is None else f" of a server that ended with {ending.status}"
        sentence = (
            f"The log{ended} is empty. A server writes most to standard error: give both, as by "
            "docker logs NAME 2>&1 | docker run --rm -i IMAGE graph-probe judge -"
        )
    elif ending.status is None:
        sentence = (
            f"The log shows no failure, and ends {place.words}. If the server stands still there, "
            f"it hung. Its last line: {line}"
        )
    else:
        sentence = (
            f"The server ended {place.words}, the launcher's exit status being {ending.status}, in "
            f"a way that this judge does not know. Its last line: {line}"
        )
    last = Sign(len(log.lines) - 1, Weight.SUMMARY, None, line)
    return verdict_at(log, last, place, State.UNKNOWN, sentence, (), None, line)
