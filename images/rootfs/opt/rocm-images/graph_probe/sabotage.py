"""Ways to break the decode or a replay on purpose, so that the probe's own alarms can be tested."""

from __future__ import annotations

import ctypes
import enum


class Sabotage(str, enum.Enum):
    """What is broken. Each ends the probe with an exit code of its own."""

    GLOBAL_WATCHDOG = "global-watchdog"
    SAME_THREAD_SYNC = "same-thread-sync"
    WRONG_TOKEN = "wrong-token"
    MISSING_RANK = "missing-rank"
    HANG = "hang"
    WRONG_REPLAY = "wrong-replay"
    WRONG_FRESH = "wrong-fresh"
    """WRONG_TOKEN in the last of several fresh processes."""


def hang() -> None:
    """Never returns, like a call that is stuck in a driver: no Python signal handler runs here."""
    block = ctypes.CDLL(None).pause
    while True:
        block()
