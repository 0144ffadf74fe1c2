"""Verdicts on processes that a signal ended, where no line before it says why."""

from __future__ import annotations

import re
import signal as signals

from serve_probe.place import Place, aborted_state, filled, verdict_at, who
from serve_probe.server_log import ServerLog
from serve_probe.signs import SIGABRT, Sign
from serve_probe.verdict import State, Verdict


def died(log: ServerLog, sign: Sign, place: Place) -> Verdict:
    """A process that a signal of its own making ended, and no line before says why."""
    process, name = who(log, sign), _signal_name(sign.signal or 0)
    if sign.signal == SIGABRT:
        return _aborted(log, sign, place, f"{process} aborted ({name}; that is not the OOM killer)")
    advice = (
        "A container's /dev/shm is 64 MB unless --shm-size or --ipc=host is given; see the line "
        "with `NCCL WARN`."
        if name == "SIGBUS"
        else "The stack below `Fatal Python error` in the log names the thread and its call: "
        "report it to whose library that is. Try again with {own_all_reduce}, then with {eager}."
    )
    sentence = f"{process} died of {name}, {place.words}. {filled(log, advice)}"
    return verdict_at(log, sign, place, State.CRASHED, sentence, (), name.lower(), sign.quoted)


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"


_THREW = re.compile(r"^terminate called|^what\(\)")
_WHY = re.compile(
    r"^(?:terminate called|what\(\)|double free|free\(\)|malloc|corrupted|munmap_chunk|python3?: "
    r"|.{0,200}Assertion .{1,200} failed)"
)
_LINES_BEFORE = 20


def _aborted(log: ServerLog, sign: Sign, place: Place, said: str) -> Verdict:
    state, why = aborted_state(place), _reason(log, sign)
    advice = "The lines above `Fatal Python error` in the log name the thread that aborted. "
    advice += (
        "Run `graph-probe capture` in this container, and try again with {eager}."
        if place.phase is not None
        else "Try again with {own_all_reduce}, then with {eager}, to see which it needs."
    )
    # The known bug ends a capture, or the first decode, and leaves no other reason.
    first = not any(log.said.decoding in line for line in log.lines[: sign.line])
    open_question = why is None or _THREW.match(why.strip())
    its_own = state is not State.CRASHED and open_question and (place.phase or first)
    return verdict_at(
        log,
        sign,
        place,
        state,
        f"{said}, {place.words}. {filled(log, advice)}",
        ("hip-event-query",) if its_own else (),
        "aborted",
        why or sign.quoted,
    )


def _reason(log: ServerLog, sign: Sign) -> str | None:
    """The line before an abort that says why, where one does."""
    for number in range(sign.line - 1, max(sign.line - _LINES_BEFORE, 0) - 1, -1):
        if not log.entries[number].own and _WHY.match(log.lines[number].strip()):
            return log.lines[number]
    return None


def killed(log: ServerLog, sign: Sign) -> Verdict:
    """Killed from outside: a process, as the launcher reports, or the launcher itself."""
    place = Place(log, sign.line, sign.rank)
    sentence = (
        f"{who(log, sign)} was killed (SIGKILL) {place.words}, from outside: by the kernel for "
        "the host's memory, by the container's limit, or by a person. Look in `dmesg` for `Out of "
        "memory`, and in the container's memory.events for oom_kill."
    )
    return verdict_at(log, sign, place, State.KILLED, sentence, (), "killed", sign.quoted)
