"""Reads the log of an SGLang server: what it captured, which all-reduce it named, how it decoded.

Lines as SGLang 0.5.17 writes them (tests/data/serve_logs); 0.5.21's source has the same texts. A
log can be cut off anywhere, and several processes write to it at once: nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

_TIME = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?"
_PREFIX = re.compile(_TIME + r"(?P<coordinates>(?: [A-Z]+\d+)*)\]")
_TENSOR_RANK = re.compile(r" TP(\d{1,6})\b")
_TORCH_RANK = re.compile(r"^\[rank(\d{1,6})\]:")
_ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_BEGIN = re.compile(r"Capture target (\w+) CUDA graph begin\.[^\[]*\[([\d, ]*)\]?")
_END = re.compile(r"Capture target (\w+) CUDA graph end\.(?: elapsed=([\d.]+) s)?")
_PROGRESS = re.compile(r"Capturing (batches \(bs|num tokens \(num_tokens)=(\d{1,9}) ")
_PHASE_OF_PROGRESS = {"batches (bs": "decode", "num tokens (num_tokens": "prefill"}
_DECODE = re.compile(r"Decode batch.{0,400}?cuda graph: (True|False)")
_ALL_REDUCE = (
    ("aiter", "[AR] Using AiterCustomAllreduce"),
    ("nccl", "[AR] All-reduce call path: NCCL"),
    ("sglang-v2", "[AR] Using CustomAllReduceV2"),
    # Both SGLang's own and AITER's write this one: it only counts where AITER's line is not there.
    ("sglang", " cuda graph addresses"),
)
READY = "The server is fired up and ready to roll!"
GRACEFUL = "Gracefully exiting..."
_WATCHDOG = "watchdog thread terminated with exception"


@dataclass(frozen=True)
class Capture:
    """The capture of one phase on one rank; `line` counts from 0, `seconds` is what SGLang says."""

    phase: str
    rank: int
    sizes: tuple[int, ...]
    line: int
    ended: bool = False
    seconds: float | None = None


def rank_of(line: str) -> int | None:
    """The tensor-parallel rank that a line names, None where it names none."""
    prefix = _PREFIX.search(line)
    found = _TENSOR_RANK.search(prefix["coordinates"]) if prefix else None
    found = found or _TORCH_RANK.search(line)
    return int(found[1]) if found else None


class ServerLog:
    """One log, as lines: carriage returns of progress bars are ends of lines, colours are gone."""

    def __init__(self, text: str) -> None:
        plain = _ESCAPE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
        self.lines = plain.split("\n")

    @cached_property
    def captures(self) -> tuple[Capture, ...]:
        """Every capture that began, in the order of their beginning."""
        found: dict[tuple[str, int], Capture] = {}
        for number, line in enumerate(self.lines):
            rank = rank_of(line) or 0
            for begin in _BEGIN.finditer(line):
                sizes = tuple(int(size) for size in re.findall(r"\d{1,9}", begin[2]))
                found[begin[1], rank] = Capture(begin[1], rank, sizes, number)
            for end in _END.finditer(line):
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
        cut = ServerLog(text).captures if before + 1 < len(self.lines) else self.captures
        still = [capture for capture in cut if not capture.ended]
        of_rank = [capture for capture in still if capture.rank == rank]
        candidates = of_rank or still
        return candidates[-1] if candidates else None

    def size_before(self, line: int, since: int) -> int | None:
        """The batch size, or number of tokens, that was captured last before a line."""
        for number in range(min(line, len(self.lines) - 1), since - 1, -1):
            sizes = _PROGRESS.findall(self.lines[number])
            if sizes:
                return int(sizes[-1][1])
        return None

    def sizes_named(self, phase: str) -> frozenset[int]:
        """Every size of a phase that a progress bar named. Rank 0 alone draws one."""
        named = (found for line in self.lines for found in _PROGRESS.findall(line))
        return frozenset(int(size) for bar, size in named if _PHASE_OF_PROGRESS[bar] == phase)

    @cached_property
    def all_reduce(self) -> str | None:
        """aiter, sglang, sglang-v2 (CUDA's) or nccl; None where the log names none."""
        return next((name for name, text in _ALL_REDUCE if self.first(text) is not None), None)

    @cached_property
    def decoded_with_graph(self) -> tuple[int, int]:
        """How many decode lines say that a graph was used, and how many that none was."""
        said = [flag for line in self.lines for flag in _DECODE.findall(line)]
        return said.count("True"), said.count("False")

    @property
    def ready(self) -> bool:
        return self.first(READY) is not None

    @property
    def graceful(self) -> bool:
        return self.first(GRACEFUL) is not None

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
