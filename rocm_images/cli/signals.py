"""Ends the run at Ctrl-C, `kill` and a terminal that closes: docs/ending.md.

The main thread unwinds by KeyboardInterrupt. Beside it a thread hears of the same signal, whatever
the main thread waits for: it stops what the supervisor holds, and ends the process in time.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from rocm_images.start import ENDING, handle, leave_at_once
from rocm_images.supervisor import END_SECONDS, supervisor

_OVER = 0


class Signals:
    """Hears signals from `begin` to `over`; `number` is that of the first."""

    def __init__(self, leave: Callable[[int], NoReturn]) -> None:
        self.number = 0
        self._leave = leave
        self._raises = True
        self._read, self._write = os.pipe()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._hook = sys.unraisablehook

    def begin(self) -> None:
        """From here on the main thread is sent a KeyboardInterrupt, once."""
        supervisor.begin()
        sys.unraisablehook = self._unraisable
        os.set_blocking(self._write, False)
        # The number is written by the system's own handler: no thread of ours has to run for it.
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._thread.start()
        handle(self._interrupt)

    def hold(self) -> None:
        """From here on nothing is raised any more: the main thread is at its end."""
        self._raises = False

    def over(self) -> None:
        """Everything is cleaned up: the next signal need wait for nothing."""
        handle(leave_at_once)
        signal.set_wakeup_fd(-1)
        if self._thread.ident is not None:
            os.write(self._write, bytes([_OVER]))
            self._thread.join()
        sys.unraisablehook = self._hook
        os.close(self._read)
        os.close(self._write)

    def _interrupt(self, number: int, _: FrameType | None) -> None:
        self.number = self.number or number
        if self._raises:
            self._raises = False
            raise KeyboardInterrupt

    def _unraisable(self, found: Any) -> None:
        """Raised within a finaliser it goes nowhere; `_listen` heard the signal all the same."""
        if not issubclass(found.exc_type, KeyboardInterrupt):
            self._hook(found)

    def _listen(self) -> None:
        deadline = None
        while True:
            patience = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._read], [], [], patience)[0]:
                self._leave(self.number)
            heard = os.read(self._read, 1)[0]
            if heard == _OVER:
                return
            if heard not in ENDING:
                continue
            if deadline is None:
                self.number = self.number or heard
                deadline = time.monotonic() + END_SECONDS
                threading.Thread(target=supervisor.stop, daemon=True).start()
            else:
                supervisor.hurry()
