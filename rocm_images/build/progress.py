"""Shows what every cell is doing: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from rocm_images import telling
from rocm_images.foreign import shown_line

if TYPE_CHECKING:
    from rich.table import Table


class Progress(Protocol):
    """What the pipeline tells while it works; methods may be called from several threads."""

    def step(self, cell: str, text: str) -> None:
        """The cell begins this step."""

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
    """One line on standard error for each step of each cell; none where -q was given."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def step(self, cell: str, text: str) -> None:
        """See Progress."""
        with self._lock:
            telling.step(f"{cell}  {text}")

    def done(self, cell: str, text: str) -> None:
        """See Progress."""
        self.step(cell, f"=> {text}")

    def __enter__(self) -> PlainLines:
        return self

    def __exit__(self, *_: object) -> None:
        return None


class LiveTable:
    """A table that is redrawn in place: cell, current step, seconds so far."""

    def __init__(self, cells: Sequence[str]) -> None:
        from rich.console import Console
        from rich.live import Live

        self._lock = threading.Lock()
        self._rows: dict[str, tuple[str, float, float | None]] = {
            cell: ("waiting", time.monotonic(), None) for cell in cells
        }
        self._started: set[str] = set()
        self._live = Live(
            console=Console(file=telling.for_colours(sys.stderr)),
            get_renderable=self._table,
            refresh_per_second=4,
        )

    def step(self, cell: str, text: str) -> None:
        """See Progress."""
        with self._lock:
            _, start, _ = self._rows[cell]
            if cell not in self._started:
                self._started.add(cell)
                start = time.monotonic()
            self._rows[cell] = (text, start, None)

    def done(self, cell: str, text: str) -> None:
        """See Progress."""
        with self._lock:
            _, start, _ = self._rows[cell]
            self._rows[cell] = (text, start, time.monotonic())

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        now = time.monotonic()
        table = Table(box=None, pad_edge=False, expand=True)
        table.add_column("cell", no_wrap=True)
        table.add_column("step", no_wrap=True, ratio=1, overflow="ellipsis")
        table.add_column("seconds", justify="right")
        with self._lock:
            for cell, (text, start, end) in self._rows.items():
                seconds = f"{(end or now) - start:.0f}" if cell in self._started else ""
                # Text, not markup: a step's name has brackets of its own.
                table.add_row(cell, Text(shown_line(text)), seconds)
        return table

    def __enter__(self) -> LiveTable:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()
