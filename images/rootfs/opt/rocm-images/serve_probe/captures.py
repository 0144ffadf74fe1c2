"""Which graph captures a server's log is about: of what, on which rank, begun and ended where."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from image_servers import LogLines
from serve_probe.log_lines import Line


@dataclass(frozen=True)
class Capture:
    """The capture of one phase on one rank; `line` and `end` count from 0, `end` None: it is open.

    `seconds` is what it says that it took.
    """

    phase: str
    rank: int
    sizes: tuple[int, ...]
    line: int
    end: int | None = None
    seconds: float | None = None

    @property
    def ended(self) -> bool:
        return self.end is not None


def captures_of(entries: Iterable[Line], said: LogLines) -> tuple[Capture, ...]:
    """Every capture that began, in the order of their beginning."""
    found: dict[tuple[str, int], Capture] = {}
    for number, entry in enumerate(entries):
        if "aptur" not in entry.message:
            continue
        rank = entry.rank or 0
        for begin in said.capture_begin.finditer(entry.message):
            phase = phase_of(said, begin[1])
            sizes = tuple(int(size) for size in re.findall(r"\d{1,9}", begin[2] or ""))
            known = found.get((phase, rank))
            # What a progress bar, or each size, says again and again is one capture: also after
            # its end, where one rank says that of all of them.
            again = known is not None and known.ended and _names_ends(said, "")
            if known is None or again or sizes:
                found.pop((phase, rank), None)
                found[phase, rank] = Capture(phase, rank, sizes, number)
        for end in said.capture_end.finditer(entry.message):
            phase = phase_of(said, end[1])
            for key, begun in found.items():
                if not begun.ended and (key == (phase, rank) or not _names_ends(said, end[1])):
                    seconds = _number(end[2])
                    found[key] = replace(begun, end=number, seconds=seconds)
    return tuple(found.values())


def phase_of(said: LogLines, what: str | None) -> str:
    """What is captured, by the server's own words for it."""
    words = (what or "").strip()
    return said.capture_phases.get(words, words or "decode")


def _names_ends(said: LogLines, what: str | None) -> bool:
    """Whether an end names what ended; where the server's words never do, it is everything."""
    return bool(what) or "" in said.capture_phases


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
