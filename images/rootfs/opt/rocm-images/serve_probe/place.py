"""Says where in a server's life a sign of failure stands, and words a verdict about it."""

from __future__ import annotations

from dataclasses import asdict

from serve_probe.server_log import ServerLog
from serve_probe.signs import Sign
from serve_probe.verdict import Stage, State, Verdict

MOST_QUOTED = 300
_WHERE = {
    Stage.STARTING: "while the server started",
    Stage.LOADING: "while the model was loaded",
    Stage.WARMING_UP: "while the server warmed up, before it was ready",
    Stage.SERVING: "after the server was ready",
    Stage.STOPPING: "while the server stopped",
}


class Place:
    """Where a sign stands: stage, phase and size of the capture that was open, and in words."""

    def __init__(self, log: ServerLog, line: int, rank: int | None) -> None:
        capture = log.open_capture(line, rank)
        self.stage = log.stage_at(line, rank)
        self.phase = capture.phase if capture else None
        self.size = log.size_before(line, capture.line, rank) if capture else None
        unit = "tokens" if "prefill" in (self.phase or "") else "batch size"
        at = f", {unit} {self.size}" if self.size is not None else ""
        where = f"in the capture of {self.phase}{at}" if capture else _WHERE[self.stage]
        if self.stage is Stage.WARMING_UP and log.captures:
            where += " and after every capture had ended"
        self.words = where + (f", on rank {rank}" if rank is not None else "")


def aborted_state(place: Place) -> State:
    if place.phase is not None:
        return State.ABORTED_IN_CAPTURE
    after = (Stage.WARMING_UP, Stage.SERVING, Stage.STOPPING)
    return State.ABORTED_DECODING if place.stage in after else State.CRASHED


def who(log: ServerLog, sign: Sign) -> str:
    name = name_of(log, sign)
    return f"The {name}" if name else "A process of the server"


def name_of(log: ServerLog, sign: Sign) -> str | None:
    if sign.process is None:
        return None
    return log.said.processes.get(sign.process, sign.process.replace("_", " "))


def filled(log: ServerLog, advice: str) -> str:
    return advice.format_map(asdict(log.said.advice)) if "{" in advice else advice


def verdict_at(
    log: ServerLog,
    sign: Sign,
    place: Place,
    state: State,
    sentence: str,
    advisories: tuple[str, ...],
    cause: str | None,
    quoted: str,
) -> Verdict:
    line = quoted.strip()[:MOST_QUOTED]
    return Verdict(
        state,
        sentence,
        advisories,
        place.phase,
        place.size,
        sign.rank,
        line,
        place.stage,
        name_of(log, sign),
        cause,
    )
