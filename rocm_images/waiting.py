"""Says whom this program waits for, before somebody at a terminal takes it to hang."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock, Timer

from rocm_images import telling

SECONDS = 2.0
"""The silence after which it is said at a terminal; elsewhere only what is tried again is."""
AGAIN_SECONDS = 30.0
"""The same is not said again before: many questions at once wait for the same."""
_said: dict[str, float] = {}
_lock = Lock()


class Wait:
    """Of one question, until it is answered; `silent` until its time has come."""

    def __init__(self, whom: str, *, silent: bool = False) -> None:
        self._words = f"waiting for {whom}"
        self._whom = whom
        self._silent = silent

    def again(self, attempt: int, attempts: int, why: str) -> None:
        """The question is asked again: for the `attempt`th time of `attempts`."""
        self._words = f"waiting for {self._whom}, attempt {attempt} of {attempts} ({why})"
        if not self._silent:
            self._say()

    def _say(self) -> None:
        self._silent = False
        now, words = time.monotonic(), self._words
        with _lock:
            if now - _said.get(words, -AGAIN_SECONDS) < AGAIN_SECONDS:
                return
            _said[words] = now
        telling.step(f"{telling.PROGRAM}: {words}")


@contextmanager
def waiting_for(whom: str) -> Iterator[Wait]:
    """While the block asks somebody, a registry's HOST say, and waits for the answer."""
    terminal = sys.stderr.isatty()
    wait = Wait(whom, silent=terminal)
    timer = Timer(SECONDS, wait._say)
    timer.daemon = True
    if terminal:
        timer.start()
    try:
        yield wait
    finally:
        timer.cancel()
