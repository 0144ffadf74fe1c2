"""What this program waits for: for whom, for how long already, how far it is, which attempt.

clock.py says it, before somebody takes the program to hang.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Protocol

from rocm_images import telling
from rocm_images.clock import clock, moment

_LEAST_WORDS = 16
"""Of a line that is too long for its width, so many letters of its words stay."""


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
        if not self._patient or now - self.since >= moment():
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
