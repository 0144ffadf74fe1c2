"""Starts the program: from its first line on, a signal ends it in an exit code of its own."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

_UNWIND_SECONDS = 0.5
# What a run makes lasts until its end: looking for what does not took a thirtieth of a plan.
_SELDOM = 100_000
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def handle(handler: Callable[[int, FrameType | None], object]) -> None:
    """Have every signal that ends a program handled, but those that it was started without.

    `nohup`, and a shell that starts a program in the background, ignore some for it.
    """
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def leave_at_once(number: int, _: FrameType | None = None) -> NoReturn:
    """End the process: for a time in which it has nothing to clean up."""
    os._exit(128 + number)


def _command_line() -> Callable[[], object]:
    from rocm_images.cli.main import start

    return start


def run(load: Callable[[], Callable[[], object]] = _command_line) -> NoReturn:
    """The installed command, and build.py; for `load` see cli/ending.py."""
    gc.set_threshold(_SELDOM)
    try:
        handle(leave_at_once)
    except KeyboardInterrupt:
        leave_at_once(signal.SIGINT)
    from rocm_images.cli.ending import ended
    from rocm_images.threads import all_ended

    code = ended(load)
    # What is cleaned up ends in no time; what waits for a server would keep the process.
    if not all_ended(_UNWIND_SECONDS):
        os._exit(code)
    # Else Python looks through all of it once more before it lets it go: a ninth of a plan.
    gc.freeze()
    sys.exit(code)
