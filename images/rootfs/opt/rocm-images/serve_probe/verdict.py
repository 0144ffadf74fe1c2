"""What a server is judged by beside its log, and what it is judged."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class State(str, enum.Enum):
    """What became of a server."""

    READY = "ready"
    CAPTURE_INVALIDATED = "capture-invalidated"
    OUT_OF_MEMORY = "out-of-memory"
    ABORTED_IN_CAPTURE = "aborted-in-capture"
    ABORTED_DECODING = "aborted-decoding"
    KILLED = "killed"
    HUNG = "hung"
    UNKNOWN = "unknown"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Ending:
    """What the starter of a server knows of its end.

    `status` is the launcher's, None while it runs; `stopped`: the starter ended it, on purpose;
    `overdue`: it did not do in time what was waited for.
    """

    status: int | None = None
    stopped: bool = False
    overdue: bool = False


@dataclass(frozen=True)
class Verdict:
    """`phase`, `size` and `rank` say where, as far as the log does; `line` is what decided."""

    state: State
    sentence: str
    advisories: tuple[str, ...] = ()
    phase: str | None = None
    size: int | None = None
    rank: int | None = None
    line: str = ""
