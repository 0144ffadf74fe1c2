"""Judges a server by its log and its end: what happened, what to do next, which advisory it is.

A launcher's exit status says nearly nothing (SGLang's clean stop by SIGTERM is -9, too), and SGLang
advises a lower --mem-fraction-static, and names the OOM killer, whatever went wrong: so neither is
searched for. docs/serve.md has the lines that count, tests/data/serve_logs whole logs.
"""

from __future__ import annotations

import re

from image_servers import DEFAULT, Server
from serve_probe.server_log import ServerLog
from serve_probe.verdict import Ending, State, Verdict

_INVALIDATED = re.compile(
    r"(?:cuda|hip)ErrorStreamCapture(?:Invalidated|Unsupported|Implicit)"
    r"|hipErrorCapturedEvent|cudaErrorCapturedEvent"
    r"|previous error during capture"
    r"|operation not permitted (?:when stream is|on an event last recorded in a) captur"
)
_NO_MEMORY = re.compile(
    r"OutOfMemoryError|out of memory\. Tried"
    # The runtime's own words, where torch's allocator was not asked: making the context, say.
    r"|(?:CUDA|HIP) error: out of memory|(?:cuda|hip)Error(?:MemoryAllocation|OutOfMemory)"
)
_ABORTED = re.compile(r"Fatal Python error: Aborted")
_GPU_FAULT = re.compile(
    r"HSA_STATUS_ERROR_EXCEPTION.{0,200}?(?:code: )?(?P<code>0x[0-9a-f]+)"
    r"|Memory access fault by GPU"
)
_EXCEPTION = re.compile(r"^(?:\[[^\]]*\] )?[\w.]*(?:Error|Exception)\b: .+")
_SIGABRT, _SIGKILL = -6, -9


def judge(text: str, ending: Ending, server: Server = DEFAULT) -> Verdict:
    """The verdict on a log, whole or cut off. Never raises."""
    log, said = ServerLog(text, server), server.log
    no_memory = next(log.matches(_NO_MEMORY), None)
    # A graph that is thrown away in mid-capture, whatever ended it, is warned of in these words.
    signs = log.matches(_INVALIDATED)
    invalidated = next((sign for sign in signs if " warning: " not in sign[1].string), None)
    # Whichever comes first is the cause: Python prints the first exception of a chain first, and
    # memory that runs out inside a capture leaves a broken capture behind.
    if no_memory and (invalidated is None or no_memory[0] < invalidated[0]):
        return _out_of_memory(log, no_memory[0])
    if invalidated:
        return _invalidated(log, invalidated[0])
    died = next(log.matches(said.rank_died), None)
    aborted = next(log.matches(_ABORTED), None)
    status = int(died[1]["status"]) if died else None
    if status == _SIGABRT or aborted:
        return _aborted(log, died, (aborted or died or (0,))[0])
    if status == _SIGKILL and died:
        return _killed(log, died)
    if ending.overdue:
        return _hung(log)
    # After a child's failure the launcher kills itself, and says so.
    killed_itself = log.first(said.gives_up) is not None
    if ending.status == _SIGKILL and not ending.stopped and not killed_itself:
        return _killed(log, None)
    by_itself = ending.status is not None and not ending.stopped
    failed = died is not None or log.first(said.rank_failed) is not None
    if log.ready and not failed and not by_itself:
        return Verdict(State.READY, "The server became ready and no process of it failed.")
    return _unknown(log, ending, died)


def _where(log: ServerLog, line: int, rank: int | None) -> tuple[str | None, int | None, str]:
    """Phase and size of the capture that was open at a line, and both in words."""
    capture = log.open_capture(line, rank)
    if capture is None:
        return None, None, "outside of any capture that the log shows"
    size = log.size_before(line, capture.line)
    unit = "tokens" if capture.phase == "prefill" else "batch size"
    at = f", {unit} {size}" if size is not None else ""
    return capture.phase, size, f"in the capture of {capture.phase}{at}"


def _invalidated(log: ServerLog, number: int) -> Verdict:
    rank = _rank_near(log, number)
    phase, size, where = _where(log, number, rank)
    of_rank = f" on rank {rank}" if rank is not None else ""
    sentence = (
        f"A graph capture was invalidated {where}{of_rank}: something in the process made a call "
        "that a capture forbids, such as a watchdog's event query on a HIP runtime that the "
        "advisory hip-event-query is about. Run `graph-probe capture` in this container: if it "
        "says unsafe, use an image on a newer ROCm; if captures survive a watchdog, look for a "
        "library that synchronises the device, and tell it by --disable-custom-all-reduce."
    )
    return Verdict(
        State.CAPTURE_INVALIDATED,
        sentence,
        ("hip-event-query", "vendored-hip"),
        phase,
        size,
        rank,
        log.lines[number].strip()[:300],
    )


def _rank_near(log: ServerLog, number: int) -> int | None:
    """The rank whose report a line belongs to: of the line itself, or of the exception above it."""
    own = log.rank_of(log.lines[number])
    if own is not None:
        return own
    for earlier in range(number, -1, -1):
        line = log.lines[earlier]
        if "hit an exception" in line or "Error: " in line:
            named = log.rank_of(line)
            if named is not None or "hit an exception" in line:
                return named
    return None


def _out_of_memory(log: ServerLog, number: int) -> Verdict:
    rank = _rank_near(log, number)
    phase, size, where = _where(log, number, rank)
    return Verdict(
        State.OUT_OF_MEMORY,
        f"The GPU's memory ran out {where}. Lower --mem-fraction-static, or --cuda-graph-max-bs "
        "where it ran out in a capture; see first whether another process holds memory "
        "(rocm-smi --showmeminfo vram).",
        ("ipc-leak",),
        phase,
        size,
        rank,
        log.lines[number].strip()[:300],
    )


def _aborted(log: ServerLog, died: tuple[int, re.Match[str]] | None, number: int) -> Verdict:
    fault = next(log.matches(_GPU_FAULT), None)
    line = log.lines[fault[0] if fault else number].strip()[:300]
    rank = _rank_of_death(died)
    phase, size, where = _where(log, number, rank)
    cause = "The lines above `Fatal Python error` in the log name the thread that aborted. "
    advisories: tuple[str, ...] = ("hip-event-query",)
    if fault and fault[1]["code"]:
        cause = (
            f"The GPU raised an exception ({fault[1]['code']}), which a broken graph can cause. "
        )
        advisories = ("hip-event-query", "ar-exit-barrier")
    elif fault:
        cause = "A kernel touched memory that is not mapped. "
        advisories = ("aiter-allgather", "war-barrier")
    if phase is not None:
        return Verdict(
            State.ABORTED_IN_CAPTURE,
            f"A scheduler aborted (SIGABRT) {where}; that is not the OOM killer. {cause}"
            "Run `graph-probe capture` in this container, and try again with --disable-cuda-graph.",
            advisories,
            phase,
            size,
            rank,
            line,
        )
    if log.ready:
        return Verdict(
            State.ABORTED_DECODING,
            f"A scheduler aborted (SIGABRT) after the server was ready. {cause}Try again with "
            f"{log.server.all_reduce.name}=0, then with --disable-cuda-graph, to see which of them "
            "it needs.",
            advisories,
            rank=rank,
            line=line,
        )
    return Verdict(
        State.UNKNOWN,
        f"A scheduler aborted (SIGABRT) before any capture began. {cause}",
        rank=rank,
        line=line,
    )


def _killed(log: ServerLog, died: tuple[int, re.Match[str]] | None) -> Verdict:
    """Killed from outside: a scheduler, as the launcher reports, or the launcher itself."""
    rank, number = _rank_of_death(died), died[0] if died else len(log.lines) - 1
    phase, size, where = _where(log, number, rank)
    when = "after it was ready" if log.ready and phase is None else where
    who = "A scheduler" if died else "The launcher"
    return Verdict(
        State.KILLED,
        f"{who} was killed (SIGKILL) {when}, from outside: by the kernel for the host's "
        "memory, by the container's limit, or by a person. Look in `dmesg` for `Out of memory`, "
        "and in the container's memory.events for oom_kill.",
        (),
        phase,
        size,
        rank,
        log.lines[number].strip()[:300],
    )


def _rank_of_death(died: tuple[int, re.Match[str]] | None) -> int | None:
    found = died[1]["rank"] or died[1]["child"] if died else None
    return int(found) if found else None


def _hung(log: ServerLog) -> Verdict:
    last = len(log.lines) - 1
    phase, size, where = _where(log, last, None)
    when = "after the server was ready" if log.ready else where
    advisories = ("empty-prebuild", "scratch-reclaim") if not log.ready else ()
    return Verdict(
        State.HUNG,
        f"The server did not go on in time, {when}. Where a kernel was being compiled, give it "
        "longer (--ready-timeout); else look at each rank with py-spy dump: ranks that wait for "
        "one another show different collectives.",
        advisories,
        phase,
        size,
        line=log.tail(1)[:300],
    )


def _unknown(log: ServerLog, ending: Ending, died: tuple[int, re.Match[str]] | None) -> Verdict:
    said = [line for _, line in log.matches(_EXCEPTION)]
    line = said[-1].string.strip()[:300] if said else log.tail(1)[:300]
    how = f"with exit code {died[1]['status']}" if died else _ended(ending)
    when = "after it was ready" if log.ready else "before it was ready"
    quoted = f" Its last exception: {line}" if said else f" Its last line: {line or '(none)'}"
    return Verdict(
        State.UNKNOWN,
        f"The server failed {when}, {how}, in a way that this judge does not know.{quoted}",
        rank=_rank_of_death(died),
        line=line,
    )


def _ended(ending: Ending) -> str:
    if ending.status is None:
        return "without having ended"
    return f"the launcher's exit status being {ending.status}"
