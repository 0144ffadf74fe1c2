"""What a person would be told: lines, and what a terminal that is made up has drawn."""

from __future__ import annotations

import math
import re
import sys
import threading

import pytest

from rocm_images import telling, waiting
from rocm_images.waiting import Clock

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
    monkeypatch.setattr(waiting, "SECONDS", 0.05)
    monkeypatch.setattr(waiting, "DRAWN_SECONDS", 0.01)
