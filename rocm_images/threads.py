"""Work in threads, of which none keeps the program from ending."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

T = TypeVar("T")


class Threads(ThreadPoolExecutor):
    """A pool whose block, where it is interrupted, waits for nobody and begins nothing more."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        interrupted = kind is not None and not issubclass(kind, Exception)
        self.shutdown(wait=not interrupted, cancel_futures=interrupted)


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
