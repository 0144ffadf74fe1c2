"""Reads the log of a server: how far it came, what it captured, which all-reduce it named.

Which lines say so is the server's affair (image_servers). A log can be cut off anywhere, and
several processes write to it at once: nothing here raises.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cached_property

from image_servers import DEFAULT, SERVERS, LogLines
from serve_probe.captures import Capture, captures_of, phase_of
from serve_probe.causes import Cause, causes_of
from serve_probe.log_lines import Line, parsed, plain_lines
from serve_probe.verdict import Stage

_WATCHDOG = "watchdog thread terminated with exception"
_SIGNED_LINES = 2000
"""Whose log it is stands in so many lines, if anywhere."""


class ServerLog:
    """One log, as lines: carriage returns of progress bars are ends of lines, colours are gone.

    Args:
        text: the log.
        said: the lines that its server writes; None: whose it is, is found from the log.
        declared: whose all-reduce its environment asks for, where that is known.
    """

    def __init__(
        self, text: str, said: LogLines | None = None, declared: str | None = None
    ) -> None:
        self.lines = plain_lines(text)
        self.said = said or _whose(self.lines)
        self._declared = declared

    @cached_property
    def entries(self) -> list[Line]:
        """Each of `lines` with its prefix taken off."""
        return [parsed(line, self.said) for line in self.lines]

    @cached_property
    def captures(self) -> tuple[Capture, ...]:
        """Every capture that began, in the order of their beginning."""
        return captures_of(self.entries, self.said)

    def open_capture(self, before: int, rank: int | None = None) -> Capture | None:
        """The capture that had begun, and not ended, when line `before` was written.

        Of the rank, where it said that it captured; else of any: some lines only rank 0 writes.
        """
        if self._served_before(before):
            return None
        begun = [capture for capture in self.captures if capture.line <= before]
        of_rank = [capture for capture in begun if capture.rank == rank]
        still = [c for c in of_rank or begun if c.end is None or c.end > before]
        return max(still, key=lambda capture: capture.line, default=None)

    def size_before(self, line: int, since: int, rank: int | None = None) -> int | None:
        """The batch size, or number of tokens, that was captured last before a line.

        By that rank, where it says so (LogLines.each_rank_names_sizes); else by any.
        """
        last, by_any = None, rank is None or not self.said.each_rank_names_sizes
        for number in range(min(line, len(self.lines) - 1), since - 1, -1):
            sizes = self.said.capture_progress.findall(self.lines[number])
            if not sizes:
                continue
            size = int(sizes[-1][1])
            last = size if last is None else last
            if by_any or (self.entries[number].rank or 0) == rank:
                return size
        return last

    def sizes_named(self, phase: str, rank: int = 0) -> frozenset[int]:
        """Every size of a phase that was named as it was captured.

        By that rank, where each says it (LogLines.each_rank_names_sizes); else rank 0 alone does.
        """
        said, found = self.said, set()
        for entry in self.entries:
            if said.each_rank_names_sizes and (entry.rank or 0) != rank:
                continue
            for bar, size in said.capture_progress.findall(entry.message):
                if said.progress_phase.get(bar) == phase:
                    found.add(int(size))
        return frozenset(found)

    def sizes_counted(self, phase: str) -> int | None:
        """How many sizes of a phase there are to capture, where the log counts them."""
        found = [match for line in self.lines for match in self.said.capture_count.findall(line)]
        return max(
            (int(count) for what, count in found if phase_of(self.said, what) == phase),
            default=None,
        )

    @cached_property
    def _stages(self) -> list[tuple[int, Stage]]:
        """Where the server said that it had come to a stage. What serves does not load again."""
        found: list[tuple[int, Stage]] = []
        said, now = self.said, Stage.STARTING
        for number, entry in enumerate(self.entries):
            text = entry.message
            if said.ready in text:
                reached = Stage.SERVING
            elif said.stopping.search(text):
                reached = Stage.STOPPING
            elif now in (Stage.SERVING, Stage.STOPPING):
                continue
            elif said.capture_end.search(text) or said.warming_up.search(text):
                reached = Stage.WARMING_UP
            elif said.loading.search(text):
                reached = Stage.LOADING
            else:
                continue
            if reached is not now:
                found.append((number, reached))
                now = reached
        return found

    @cached_property
    def last_start(self) -> tuple[int, ServerLog]:
        """How many servers the log is of, one after the other, and the log of the last one."""
        starts, ended = [0], False
        for number, entry in enumerate(self.entries):
            ends = self.said.gives_up.search(entry.message)
            if ends or self.said.stopping.search(entry.message):
                ended = True
            elif ended and self.said.starts.search(entry.message):
                starts.append(number)
                ended = False
        if len(starts) == 1:
            return 1, self
        return len(starts), ServerLog(
            "\n".join(self.lines[starts[-1] :]), self.said, self._declared
        )

    def stage_at(self, line: int, rank: int | None = None) -> Stage:
        """How far the server had come when a line was written; `rank`: whose line it is."""
        if self.open_capture(line, rank):
            return Stage.CAPTURING
        at = bisect_right([number for number, _ in self._stages], line)
        return self._stages[at - 1][1] if at else Stage.STARTING

    def _served_before(self, line: int) -> bool:
        over = (Stage.SERVING, Stage.STOPPING)
        return any(number <= line and stage in over for number, stage in self._stages)

    @cached_property
    def all_reduce(self) -> str | None:
        """nccl, or whose custom one (LogLines.all_reduces); None where the log names none."""
        named = self.said.all_reduces
        return next((name for name, pattern in named if any(self.matches(pattern))), None)

    @property
    def all_reduce_taken(self) -> str | None:
        """The same; where the log names none what its environment asks for, or the release's own
        default. None: nothing is known of this server."""
        if self.all_reduce or self._declared:
            return self.all_reduce or self._declared
        server = next((one for one in SERVERS.values() if one.log is self.said), None)
        return server.all_reduce.chosen({}).name if server else None

    @cached_property
    def causes(self) -> tuple[Cause, ...]:
        """What its errors can mean."""
        return causes_of(self.said)

    @cached_property
    def decoded_with_graph(self) -> tuple[int, int]:
        """How often the log says that decoding was a graph's replay, and that it was none."""
        with_graph = without = 0
        for line in self.lines:
            for found in self.said.decode_graph.finditer(line):
                times = int(found[2] or 1)
                if found[1] in self.said.replays:
                    with_graph += times
                else:
                    without += times
        return with_graph, without

    @property
    def decodes_untold(self) -> bool:
        """Whether this server's release says nothing of what its decoding ran as."""
        return not any(self.decoded_with_graph) and any(self.matches(self.said.decodes_untold))

    def decoded_before(self, line: int, since: int = 0) -> bool:
        """Whether a line about decoding stands between two others."""
        return any(self.said.decoding.search(one) for one in self.lines[since:line])

    def went_on(self, since: int) -> bool:
        """Whether it came further after a line: to a stage, or to a capture's begin or end."""
        captured = any(since < (c.end or c.line) for c in self.captures)
        reached = (stage for number, stage in self._stages if number > since)
        # One that hangs can be told to stop all the same.
        return captured or any(stage is not Stage.STOPPING for stage in reached)

    @property
    def ready(self) -> bool:
        return self.first(self.said.ready) is not None

    @property
    def graceful(self) -> bool:
        """Whether it ended as it was told to: some say the same after one of their processes failed
        and brought them down."""
        said = self.said
        if not said.graceful or self.first(said.graceful) is None:
            return False
        for entry in self.entries:
            text = entry.message
            if said.stopping.search(text) or said.graceful in text:
                return True
            if any(one.search(text) for one in (said.failed, said.died, said.summary)):
                return False
        return True

    @cached_property
    def watchdog_exceptions(self) -> int:
        """How many NCCL or RCCL watchdog threads ended on an exception."""
        return sum(_WATCHDOG in line for line in self.lines)

    def first(self, text: str) -> int | None:
        """The number of the first line that holds a text."""
        return next((number for number, line in enumerate(self.lines) if text in line), None)

    @cached_property
    def gave_up(self) -> int | None:
        """The line in which the launcher began to end its own processes."""
        return next((number for number, _ in self.matches(self.said.gives_up)), None)

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


def _whose(lines: list[str]) -> LogLines:
    """Whose log has most lines that only it writes; the default's where none has any."""
    some = lines[:_SIGNED_LINES]
    logs = [server.log for server in SERVERS.values()]
    signed = {said.title: sum(bool(said.signature.search(line)) for line in some) for said in logs}
    best = max(logs, key=lambda said: signed[said.title])
    return best if signed[best.title] else DEFAULT.log
