"""Says what this program waits for and for how long already, before somebody takes it to hang.

One clock for all of it. At a terminal one line is redrawn: of what is waited for longer than two
seconds, or of what only began where nothing was said for so long. Elsewhere a line is written every
half minute. -q leaves out both.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Protocol

from rocm_images import telling

SECONDS = 2.0
"""The silence after which it is said at a terminal."""
AGAIN_SECONDS = 30.0
"""Between two lines about the same, and before the first where there is no terminal."""
DRAWN_SECONDS = 0.5
"""Between two drawings of the line at a terminal."""
_LEAST_WORDS = 16
_GAP_SECONDS = 0.5
"""Questions that follow one another faster are one wait: a hundred short ones are silent, too."""


class OnStep(Protocol):
    """Whoever is told of steps."""

    def __call__(self, text: str, far: str = "", /) -> None:
        """The step begins, or goes on with it: `far` is how far it is, "12 of 45", say."""


class Wait:
    """Something that is waited for: `whom`, until it has answered or ended.

    Args:
        whom: a registry's HOST, say.
        words: what a line says, where it is not that somebody is waited for.
        otherwise: whether it is said only where nothing else is waited for.
        also: is told of all words that `at` is.
    """

    def __init__(
        self,
        whom: str,
        *,
        words: str = "",
        otherwise: bool = False,
        also: Callable[[str], object] = lambda far: None,
    ) -> None:
        self._whom = "" if words else whom
        self.words = words or _waits(whom)
        self.otherwise = otherwise
        self.since = self.said = time.monotonic()
        self._far: str | Callable[[], str] = ""
        self._also = also
        self._patient = False
        self._attempt = ""

    def at(self, far: str | Callable[[], str]) -> None:
        """How far it is: in words, or what gives them when they are shown."""
        self._far = far
        if isinstance(far, str):
            self._also(far)

    def step(self, text: str, far: str = "", /) -> None:
        """Another step of it begins: a line where there is no terminal to redraw one on."""
        if text and not sys.stderr.isatty():
            telling.step(f"{self.words}: {text}")
            self.said = time.monotonic()
        self.at(far or text)

    def again(
        self, attempt: int, attempts: int, why: str, pause: float = 0.0, *, short: str = ""
    ) -> None:
        """The question is asked again, for the `attempt`th time of `attempts`, after a pause.

        `short` is the reason for a line that is drawn, of which a narrow terminal has the
        beginning alone.
        """
        now = time.monotonic()
        due, self._attempt = now + pause, f"{short or why}, attempt {attempt} of {attempts}"
        told = self._attempt
        self._also(told)
        self.at(lambda: told + _in(due - time.monotonic()))
        # At a terminal the first moment is nobody's business.
        if not self._patient or now - self.since >= _moment():
            soon = _in(pause)
            clock.say(f"{self.words}, attempt {attempt} of {attempts}{soon} ({why})", now)
            self.said = now

    def asks(self) -> None:
        """It is asked now, after the pause."""
        if self._attempt:
            self.at(self._attempt)

    def line(self, now: float, width: int | None = None) -> str:
        """What is waited for, for how long already, and how far it is.

        A line of a width has the last two whole before the name of a step.
        """
        far = self._far if isinstance(self._far, str) else ""
        if not isinstance(self._far, str):
            with suppress(OSError):
                far = self._far()
        seconds, told = now - self.since, f": {far}" if far else ""
        # What has only begun stands there where nothing was said for so long: it has no age yet.
        age = duration(seconds) if seconds >= 1 else ""
        if self._whom:
            return _waits(self._whom, age and f" {age}") + told
        return fitted(self.words, f", {age}{told}" if age else told, width)

    @contextmanager
    def counted(self) -> Iterator[Wait]:
        """The clock shows it until the end of the block."""
        self._patient = sys.stderr.isatty()
        clock.add(self)
        try:
            yield self
        finally:
            clock.remove(self)


def waiting_for(whom: str, *, otherwise: bool = False) -> AbstractContextManager[Wait]:
    """While the block asks somebody, a registry's HOST say, and waits for the answer."""
    return Wait(whom, otherwise=otherwise).counted()


def fitted(words: str, rest: str, width: int | None) -> str:
    """Both in one line; where that is longer than a width, the words lose their end."""
    if width is None or len(words) + len(rest) <= width or len(words) <= _LEAST_WORDS:
        return words + rest
    return f"{words[: max(width - len(rest), _LEAST_WORDS) - 3]}...{rest}"


def _moment() -> float:
    """What is nobody's business: by the drawing after it, `SECONDS` would be over."""
    return SECONDS - DRAWN_SECONDS


def _in(seconds: float) -> str:
    return f" in {seconds:.0f} s" if seconds >= 1 else ""


def _waits(whom: str, age: str = "") -> str:
    return f"{telling.PROGRAM}: waiting{age} for {whom}"


def duration(seconds: float) -> str:
    """A time in the two units in which it is readable."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


class Clock:
    """Shows everything that is waited for, from a thread of its own."""

    def __init__(self) -> None:
        self._waits: list[Wait] = []
        self._ended: dict[str, tuple[Wait, float]] = {}
        self._lines: dict[str, float] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._tables = 0
        self._spoken = 0.0
        self.hushed = False
        """Whether the run is being stopped: what it then waits for is nobody's business."""

    def add(self, wait: Wait) -> None:
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

    def remove(self, wait: Wait) -> None:
        """It is waited for no longer."""
        now = time.monotonic()
        with self._changed:
            self._waits.remove(wait)
            self._ended = {w: e for w, e in self._ended.items() if now - e[1] < _GAP_SECONDS}
            self._ended[wait.words] = (wait, now)
            others = any(now - one.since >= _moment() for one in self._waits)
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

    def _shown(self) -> list[Wait]:
        """Of those that wait for the same one, and those that say least only where all do."""
        with self._changed:
            waits = [one for one in self._waits if not one.otherwise] or self._waits
            return list({one.words: one for one in reversed(waits)}.values())[::-1]

    def lines(self, now: float, width: int | None = None, *, silent: bool = False) -> list[str]:
        """Everything that is waited for longer than a moment, the oldest first, each once.

        Or all, where it was `silent` so long: what each takes a moment takes long in all.
        """
        waits = [one for one in self._shown() if silent or now - one.since >= _moment()]
        return [one.line(now, width) for one in sorted(waits, key=lambda one: one.since)]

    def look(self, now: float) -> None:
        """Say, or draw, what it is time for."""
        if self.hushed or self._tables or telling.volume() is telling.Volume.QUIET:
            return
        terminal = sys.stderr.isatty()
        if terminal and os.environ.get("TERM", "dumb") != "dumb":
            more, silent = "", now - telling.spoken() >= _moment()
            if len(lines := self.lines(now, telling.columns(), silent=silent)) > 1:
                more = f"; and {len(lines) - 1} more"
                lines = self.lines(now, telling.columns() - len(more), silent=silent)
            if telling.standing(lines[0] + more if lines else ""):
                return
        for one in self._shown():
            first = terminal and one.said == one.since
            due = _moment() if first else AGAIN_SECONDS
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
