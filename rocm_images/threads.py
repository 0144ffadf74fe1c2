"""Work in threads, of which none keeps the program from ending."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def aside(work: Callable[[], T]) -> T:
    """Do something whole, in a thread where no Ctrl-C arrives in the middle of it."""
    results: list[T] = []
    failures: list[BaseException] = []

    def do() -> None:
        try:
            results.append(work())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=do, daemon=True)
    thread.start()
    thread.join()
    for failure in failures:
        raise failure
    return results[0]


def all_ended(seconds: float) -> bool:
    """Whether every thread that Python would wait for at its exit ends within some seconds."""
    deadline = time.monotonic() + seconds
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.main_thread():
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                return False
    return True
