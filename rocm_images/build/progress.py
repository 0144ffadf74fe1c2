"""Shows what every cell is doing: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from rocm_images import telling
from rocm_images.clock import clock
from rocm_images.foreign import shown_line
from rocm_images.masking import masked
from rocm_images.waiting import Wait, duration, fitted

if TYPE_CHECKING:
    from rich.console import Group


_TIMES = 26
"""Columns of the two times, and what parts columns."""


class Progress(Protocol):
    """What the pipeline tells while it works; methods may be called from several threads."""

    def step(self, cell: str, text: str, far: str = "") -> None:
        """The cell begins this step, or goes on with it: then `far` says how far it is."""

    def done(self, cell: str, text: str) -> None:
        """The cell has ended with this result."""

    def __enter__(self) -> Progress: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def progress_for(cells: Sequence[str]) -> Progress:
    """A live table when standard error is a terminal, else plain lines."""
    # What -q leaves out and what -v adds are lines, which a table that is redrawn has no room for.
    live = telling.volume() is telling.Volume.NORMAL and sys.stderr.isatty()
    return LiveTable(cells) if live else PlainLines()


class PlainLines:
    """One line on standard error for each step of each cell; none where -q was given.

    A step that goes on is said again by the clock of all waits, with its age and how far it is.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._steps: dict[str, tuple[Wait, ExitStack]] = {}

    def step(self, cell: str, text: str, far: str = "") -> None:
        """See Progress."""
        with self._lock:
            words = f"{cell}  {text}"
            if cell not in self._steps or self._steps[cell][0].words != words:
                self._end(cell)
                telling.step(words)
                stack = ExitStack()
                wait = stack.enter_context(Wait(cell, words=words).counted())
                self._steps[cell] = (wait, stack)
            self._steps[cell][0].at(far)

    def done(self, cell: str, text: str) -> None:
        """See Progress."""
        with self._lock:
            self._end(cell)
            telling.step(f"{cell}  => {text}")

    def _end(self, cell: str) -> None:
        if cell in self._steps:
            self._steps.pop(cell)[1].close()

    def __enter__(self) -> PlainLines:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            for cell in list(self._steps):
                self._end(cell)


@dataclass(frozen=True)
class _Row:
    """A cell: its step, since when that is at work, and the cell."""

    begun: float
    step: str = "waiting"
    far: str = ""
    since: float | None = None
    """Of the step; None before the first."""
    end: float | None = None


class LiveTable:
    """A table that is redrawn in place: cell, current step and its age, the cell's age.

    Below it stands what else is waited for.
    """

    def __init__(self, cells: Sequence[str]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._lock = threading.Lock()
        self._rows = {cell: _Row(time.monotonic()) for cell in cells}
        self._alone = ExitStack()
        self._console = Console(file=telling.for_colours(sys.stderr))
        self._live = Live(
            console=self._console,
            get_renderable=self._table,
            refresh_per_second=4,
        )

    def step(self, cell: str, text: str, far: str = "") -> None:
        """See Progress."""
        with self._lock:
            row, now = self._rows[cell], time.monotonic()
            begun = now if row.since is None else row.begun
            since = row.since if row.step == text and row.since is not None else now
            self._rows[cell] = _Row(begun, text, far, since)

    def done(self, cell: str, text: str) -> None:
        """See Progress."""
        with self._lock:
            row = self._rows[cell]
            self._rows[cell] = replace(row, step=text, far="", end=time.monotonic())

    def _table(self) -> Group:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        now = time.monotonic()
        room = self._console.width - max(map(len, ["cell", *self._rows])) - _TIMES
        table = Table(box=None, pad_edge=False, expand=True)
        table.add_column("cell", no_wrap=True)
        table.add_column("step", no_wrap=True, ratio=1, overflow="ellipsis")
        table.add_column("for", justify="right", no_wrap=True)
        table.add_column("in all", justify="right", no_wrap=True)
        with self._lock:
            for cell, row in self._rows.items():
                age = "" if row.since is None or row.end else duration(now - row.since)
                whole = "" if row.since is None else duration((row.end or now) - row.begun)
                text = fitted(row.step, f": {row.far}", room) if row.far else row.step
                # Text, not markup: a step's name has brackets of its own.
                table.add_row(cell, Text(masked(shown_line(text))), age, whole)
        lines = (
            Text(masked(shown_line(x)), "", no_wrap=True, overflow="ellipsis")
            for x in clock.lines(now)
        )
        return Group(table, *lines)

    def __enter__(self) -> LiveTable:
        self._alone.enter_context(clock.shown_by_a_table())
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
        self._alone.close()
