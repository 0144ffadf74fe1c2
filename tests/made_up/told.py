"""What a person would be told: lines, and what a terminal that is made up has drawn."""

from __future__ import annotations

import math
import os
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from rocm_images import clock, telling, waiting
from rocm_images.clock import Clock

DEADLINE = 60.0
"""Seconds after which what is to be said has not been."""


class Told:
    """What was said, and drawn at a terminal, and whether anything was."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.drawn: list[str] = []
        self.spoken = math.inf
        """When something was last told: never so long ago that it is silence, until a test says."""
        self.something = threading.Event()
        self.changed = threading.Condition()

    def step(self, text: str) -> None:
        self.lines.append(text)
        self.something.set()

    def standing(self, text: str) -> bool:
        if text:
            # The seconds are the machine's.
            self.drawn.append(re.sub(r"(waiting)(?: \d+ s)? (for)", r"\1 a moment \2", text))
            self.something.set()
            with self.changed:
                self.changed.notify_all()
        return True

    def wait(self, _: object = None) -> None:
        assert self.something.wait(DEADLINE), "nothing was said"


def heard(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Everything that is told from now on, by a clock of its own."""
    found = Told()
    monkeypatch.setattr(telling, "step", found.step)
    monkeypatch.setattr(telling, "standing", found.standing)
    monkeypatch.setattr(telling, "spoken", lambda: found.spoken)
    monkeypatch.setattr(waiting, "clock", Clock())
    return found


def hasty_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard error is a terminal at which a moment is long."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(clock, "SECONDS", 0.05)
    monkeypatch.setattr(clock, "DRAWN_SECONDS", 0.01)


def time_that_tests_change(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in a list of one; what the clock's own thread would do, `passes` does."""
    found = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: found[0])
    monkeypatch.setattr(Clock, "_run", lambda self: None)
    return found


def passes(now: list[float], seconds: float) -> None:
    now[0] += seconds
    waiting.clock.look(now[0])


class Slow:
    """A program that does what a script says, and ends when the test has been told of it."""

    def __init__(self, path: Path, does: str, *, fails: str = "") -> None:
        self.path, self._end = path, path.with_suffix(".end")
        path.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(self._end)
        failure = f"echo '{fails}' >&2; exit 9" if fails else "exit 0"
        path.write_text(f"#!/bin/sh\n{does}\nread end < '{self._end}'\n{failure}\n")
        path.chmod(0o755)

    def during(self, work: Callable[[], object], told: Told, words: str) -> None:
        """Work with it, which ends once the words are drawn."""

        def end() -> None:
            with told.changed:
                told.changed.wait_for(lambda: any(words in line for line in told.drawn), DEADLINE)
            self._end.write_text("now\n")

        ending = threading.Thread(target=end)
        ending.start()
        try:
            work()
        finally:
            ending.join()
        assert any(words in line for line in told.drawn), told.drawn
