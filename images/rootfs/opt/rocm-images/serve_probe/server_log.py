"""Reads the log of a server: what it captured, which all-reduce it named, how it decoded.

Which lines say so is the server's affair (image_servers). A log can be cut off anywhere, and
several processes write to it at once: nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from image_servers import DEFAULT, Server

_TORCH_RANK = re.compile(r"^\[rank(\d{1,6})\]:")
_ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
MOST_CHARACTERS = 65536
"""Of a line: what says something stands at its beginning, and patterns look for long in more."""
_WATCHDOG = "watchdog thread terminated with exception"


@dataclass(frozen=True)
class Capture:
    """The capture of one phase on one rank; `line` counts from 0, `seconds` is what it says."""

    phase: str
    rank: int
    sizes: tuple[int, ...]
    line: int
    ended: bool = False
    seconds: float | None = None


class ServerLog:
    """One log, as lines: carriage returns of progress bars are ends of lines, colours are gone."""

    def __init__(self, text: str, server: Server = DEFAULT) -> None:
        self.server, self.said = server, server.log
        plain = _ESCAPE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
        self.lines = [line[:MOST_CHARACTERS] for line in plain.split("\n")]

    def rank_of(self, line: str) -> int | None:
        """The tensor-parallel rank that a line names, None where it names none."""
        found = self.said.rank.search(line) or _TORCH_RANK.search(line)
        return int(found[1]) if found else None

    @cached_property
    def captures(self) -> tuple[Capture, ...]:
        """Every capture that began, in the order of their beginning."""
        found: dict[tuple[str, int], Capture] = {}
        for number, line in enumerate(self.lines):
            rank = self.rank_of(line) or 0
            for begin in self.said.capture_begin.finditer(line):
                sizes = tuple(int(size) for size in re.findall(r"\d{1,9}", begin[2]))
                found[begin[1], rank] = Capture(begin[1], rank, sizes, number)
            for end in self.said.capture_end.finditer(line):
                begun = found.get((end[1], rank))
                if begun is not None:
                    seconds = _number(end[2])
                    found[end[1], rank] = Capture(
                        begun.phase, rank, begun.sizes, begun.line, True, seconds
                    )
        return tuple(found.values())

    def open_capture(self, before: int, rank: int | None = None) -> Capture | None:
        """The capture that had begun, and not ended, when line `before` was written."""
        text = "\n".join(self.lines[: before + 1])
        cut = (
            ServerLog(text, self.server).captures if before + 1 < len(self.lines) else self.captures
        )
        still = [capture for capture in cut if not capture.ended]
        of_rank = [capture for capture in still if capture.rank == rank]
        candidates = of_rank or still
        return candidates[-1] if candidates else None

    def size_before(self, line: int, since: int) -> int | None:
        """The batch size, or number of tokens, that was captured last before a line."""
        for number in range(min(line, len(self.lines) - 1), since - 1, -1):
            sizes = self.said.capture_progress.findall(self.lines[number])
            if sizes:
                return int(sizes[-1][1])
        return None

    def sizes_named(self, phase: str) -> frozenset[int]:
        """Every size of a phase that a progress bar named. Rank 0 alone draws one."""
        find = self.said.capture_progress.findall
        named = (found for line in self.lines for found in find(line))
        phases = self.said.progress_phase
        return frozenset(int(size) for bar, size in named if phases[bar] == phase)

    @cached_property
    def all_reduce(self) -> str | None:
        """nccl, or whose custom one (LogLines.all_reduces); None where the log names none."""
        named = self.said.all_reduces
        return next((name for name, text in named if self.first(text) is not None), None)

    @cached_property
    def decoded_with_graph(self) -> tuple[int, int]:
        """How many decode lines say that a graph was used, and how many that none was."""
        said = [flag for line in self.lines for flag in self.said.decode_graph.findall(line)]
        return said.count("True"), said.count("False")

    @property
    def ready(self) -> bool:
        return self.first(self.said.ready) is not None

    @property
    def graceful(self) -> bool:
        return self.first(self.said.graceful) is not None

    @cached_property
    def watchdog_exceptions(self) -> int:
        """How many NCCL or RCCL watchdog threads ended on an exception."""
        return sum(_WATCHDOG in line for line in self.lines)

    def first(self, text: str) -> int | None:
        """The number of the first line that holds a text."""
        return next((number for number, line in enumerate(self.lines) if text in line), None)

    def matches(self, pattern: re.Pattern[str]) -> Iterator[tuple[int, re.Match[str]]]:
        """Every line that a pattern is found in, with its number."""
        for number, line in enumerate(self.lines):
            found = pattern.search(line)
            if found:
                yield number, found

    def tail(self, count: int) -> str:
        """The last lines that are not empty, cut to a length that can be read."""
        written = [line for line in self.lines if line.strip()]
        return "\n".join(line[:400] for line in written[-count:])


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
