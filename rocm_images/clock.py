"""Says what is waited for and for how long already, before somebody takes the program to hang.

One clock for all of it. At a terminal one line is redrawn: of what is waited for longer than two
seconds, or of what only began where nothing was said for so long. Elsewhere a line is written every
half minute. -q leaves out both.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rocm_images import telling

SECONDS = 2.0
"""The silence after which it is said at a terminal."""
AGAIN_SECONDS = 30.0
"""Between two lines about the same, and before the first where there is no terminal."""
DRAWN_SECONDS = 0.5
"""Between two drawings of the line at a terminal."""
_GAP_SECONDS = 0.5
"""Questions that follow one another faster are one wait: a hundred short ones are silent, too."""


def moment() -> float:
    """What is nobody's business: by the drawing after it, `SECONDS` would be over."""
    return SECONDS - DRAWN_SECONDS


class Waited(Protocol):
    """What the clock knows of a wait (waiting.py)."""

    words: str
    """Those that wait for the same have the same words, and are shown as one."""
    otherwise: bool
    """Whether it is shown only where nothing else is waited for."""
    since: float
    said: float
    """When it was last said; as `since` where it was not yet."""

    def line(self, now: float, width: int | None = None) -> str:
        """What is shown of it."""


class Clock:
    """Shows everything that is waited for, from a thread of its own."""

    def __init__(self) -> None:
        self._waits: list[Waited] = []
        self._ended: dict[str, tuple[Waited, float]] = {}
        self._lines: dict[str, float] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._tables = 0
        self._spoken = 0.0
        self.hushed = False
        """Whether the run is being stopped: what it then waits for is nobody's business."""

    def add(self, wait: Waited) -> None:
        """From now on it is waited for."""
        with self._changed:
            same = next((one for one in self._waits if one.words == wait.words), None)
            before, end = self._ended.get(wait.words, (wait, wait.since))
            same = same or (before if wait.since - end < _GAP_SECONDS else wait)
            wait.since, wait.said = same.since, same.said
            self._waits.append(wait)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, daemon=True)
                self._thread.start()
            elif len(self._waits) == 1:
                self._changed.notify()

    def remove(self, wait: Waited) -> None:
        """It is waited for no longer."""
        now = time.monotonic()
        with self._changed:
            self._waits.remove(wait)
            self._ended = {w: e for w, e in self._ended.items() if now - e[1] < _GAP_SECONDS}
            self._ended[wait.words] = (wait, now)
            others = any(now - one.since >= moment() for one in self._waits)
        if not others:
            telling.standing("")

    def say(self, line: str, now: float) -> None:
        """A line, unless the same was said a moment ago: many may wait for the same."""
        with self._changed:
            self._lines = {x: t for x, t in self._lines.items() if now - t < AGAIN_SECONDS}
            if line in self._lines:
                return
            self._lines[line] = now
        telling.step(line)

    @contextmanager
    def shown_by_a_table(self) -> Iterator[None]:
        """The block shows `lines` itself, and draws where the line would stand."""
        self._tables += 1
        telling.standing("")
        try:
            yield
        finally:
            self._tables -= 1

    def _shown(self) -> list[Waited]:
        """Of those that wait for the same one, and those that say least only where all do."""
        with self._changed:
            waits = [one for one in self._waits if not one.otherwise] or self._waits
            return list({one.words: one for one in reversed(waits)}.values())[::-1]

    def lines(self, now: float, width: int | None = None, *, silent: bool = False) -> list[str]:
        """Everything that is waited for longer than a moment, the oldest first, each once.

        Or all, where it was `silent` so long: what each takes a moment takes long in all.
        """
        waits = [one for one in self._shown() if silent or now - one.since >= moment()]
        return [one.line(now, width) for one in sorted(waits, key=lambda one: one.since)]

    def look(self, now: float) -> None:
        """Say, or draw, what it is time for."""
        if self.hushed or self._tables or telling.volume() is telling.Volume.QUIET:
            return
        terminal = sys.stderr.isatty()
        if terminal and os.environ.get("TERM", "dumb") != "dumb":
            more, silent = "", now - telling.spoken() >= moment()
            if len(lines := self.lines(now, telling.columns(), silent=silent)) > 1:
                more = f"; and {len(lines) - 1} more"
                lines = self.lines(now, telling.columns() - len(more), silent=silent)
            if telling.standing(lines[0] + more if lines else ""):
                return
        for one in self._shown():
            first = terminal and one.said == one.since
            due = moment() if first else AGAIN_SECONDS
            # What each takes less than that takes more in all.
            if now - one.said >= due or now - max(telling.spoken(), self._spoken) >= AGAIN_SECONDS:
                self._spoken = now
                telling.step(one.line(now))
                with self._changed:
                    for same in self._waits:
                        if same.words == one.words:
                            same.said = now

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waits:
                    self._changed.wait()
            try:
                self.look(time.monotonic())
            except (OSError, ValueError):
                # Nobody reads standard error any more.
                return
            time.sleep(DRAWN_SECONDS)


clock = Clock()
"""The only one of this process."""
