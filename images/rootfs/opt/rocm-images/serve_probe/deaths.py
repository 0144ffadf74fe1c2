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
    cause = name.lower() if name in _ADVICE else OTHER_SIGNAL
    sentence = f"{process} died of {name}, {place.words}. {filled(log, _ADVICE.get(name, _FROM))}"
    return verdict_at(log, sign, place, State.CRASHED, sentence, (), cause, sign.quoted)


OTHER_SIGNAL = "other-signal"
"""The cause of a death by a signal that has no entry of its own."""
_STACK = (
    "The stack that Python or the library wrote names the thread and its call: report it to whose "
    "library that is. Try again with {own_all_reduce}, then with {eager}."
)
_ADVICE = {
    "SIGSEGV": _STACK,
    "SIGFPE": _STACK,
    "SIGILL": _STACK,
    "SIGBUS": "A container's /dev/shm is 64 MB unless --shm-size or --ipc=host is given; see the "
    "line with `NCCL WARN`.",
    "SIGTRAP": "A library gave itself up at a check of its own (a trap instruction), or a debugger "
    f"left a breakpoint behind. {_STACK}",
    # seccomp(2), SECCOMP_RET_KILL_PROCESS and SECCOMP_RET_TRAP: docker's own profile refuses
    # calls with an errno, and kills nobody.
    "SIGSYS": "It made a system call that the container's seccomp profile kills for: the audit "
    "line in `dmesg` with `type=1326` and `sig=31` has its number (`syscall=`). Allow that call in "
    "the profile, or leave the profile out (--security-opt seccomp=unconfined) to see that it is "
    "the one.",
}
_FROM = (
    "Nothing that a kernel does wrong ends it so: a limit does (SIGXCPU and SIGXFSZ: `ulimit -a`), "
    "or whoever sent it the signal, a supervisor or a profiler, say."
)


def _signal_name(number: int) -> str:
    try:
        return signals.Signals(number).name
    except ValueError:
        return f"signal {number}"


_FATAL_BY_ITSELF = re.compile(r"Fatal Python error: (?!Aborted)")
_THREW = re.compile(r"^terminate called|^what\(\)")
_WHY = re.compile(
    r"^(?:terminate called|what\(\)|LLVM ERROR|double free|free\(\)|malloc|corrupted"
    r"|munmap_chunk|python3?: |.{0,200}Assertion .{1,200} failed)"
)
_LINES_BEFORE = 20
_LINES_OF_STACKS = 400


def _aborted(log: ServerLog, sign: Sign, place: Place, said: str) -> Verdict:
    state, why = aborted_state(place), _reason(log, sign)
    shown = log.first("Fatal Python error") is not None
    advice = "The stack below `Fatal Python error` names the thread that aborted. " if shown else ""
    advice += (
        "Run `graph-probe capture` in this container, and try again with {eager}."
        if place.phase is not None
        else "Try again with {own_all_reduce}, then with {eager}, to see which it needs."
    )
    # The known bug ends a capture, or the first decode, and leaves no other reason.
    own_words = _FATAL_BY_ITSELF.search(sign.quoted) or _in_a_compiler(log, sign.line)
    first = not log.decoded_before(sign.line)
    open_question = not own_words and (why is None or _THREW.match(why.strip()))
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


def _in_a_compiler(log: ServerLog, line: int) -> bool:
    """Whether the thread that aborted was compiling a kernel, by the stack that Python wrote."""
    stack = log.lines[line : line + _LINES_OF_STACKS]
    current = next((n for n, text in enumerate(stack) if text.startswith("Current thread")), None)
    return current is not None and any("/triton/" in text for text in stack[current : current + 6])


def _reason(log: ServerLog, sign: Sign) -> str | None:
    """The line before an abort that says why, where one does."""
    for number in range(sign.line - 1, max(sign.line - _LINES_BEFORE, 0) - 1, -1):
        if not log.entries[number].own and _WHY.match(log.lines[number].strip()):
            return log.lines[number]
    return None


def asked_to_end(log: ServerLog, sign: Sign) -> Verdict:
    """Ended by a signal with which one asks a program to end."""
    place = Place(log, sign.line, sign.rank)
    sentence = (
        f"{who(log, sign)} was told to end ({_signal_name(sign.signal or 0)}), {place.words}: by a "
        "person, by `docker stop`, or by an orchestrator whose probe had no answer in time. It did "
        "not fail by itself: see how long its probes allow for a start."
    )
    return verdict_at(log, sign, place, State.KILLED, sentence, (), "told-to-end", sign.quoted)


def killed(log: ServerLog, sign: Sign) -> Verdict:
    """Killed from outside: a process, as the launcher reports, or the launcher itself."""
    place = Place(log, sign.line, sign.rank)
    sentence = (
        f"{who(log, sign)} was killed (SIGKILL) {place.words}, from outside: by the kernel for "
        "the host's memory, by the container's limit, or by a person. Look in `dmesg` for `Out of "
        "memory`, and in the container's memory.events for oom_kill."
    )
    return verdict_at(log, sign, place, State.KILLED, sentence, (), "killed", sign.quoted)


def vanished(log: ServerLog, sign: Sign) -> Verdict:
    """A process was gone, and no line says how it ended."""
    place = Place(log, sign.line, sign.rank)
    sentence = (
        f"{who(log, sign)} was gone {place.words}, and nothing says how it ended: by SIGKILL, from "
        "outside (look in `dmesg` for `Out of memory`, and in the container's memory.events for "
        "oom_kill), or by a signal of its own making, which Python reports where "
        "PYTHONFAULTHANDLER=1 is set."
    )
    return verdict_at(log, sign, place, State.KILLED, sentence, (), "vanished", sign.quoted)
