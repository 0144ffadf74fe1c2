"""Child processes that never outlive the run: started together, stopped together."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

GRACE_SECONDS = 10.0


class Stopped(Exception):
    """The run is being stopped: no further child may start."""


class Children:
    """The child processes of one run; safe to use from several threads.

    Each child leads a session of its own, so that Ctrl-C on the terminal reaches this process
    alone, which then stops them in an orderly way.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._stopping = False

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], *, errors_apart: bool = False
    ) -> subprocess.Popen[str]:
        """Start a child whose standard output and error arrive together, or each by itself.

        Raises:
            Stopped: the run is being stopped.
            OSError: the command cannot be started.
        """
        with self._lock:
            if self._stopping:
                raise Stopped
            process = subprocess.Popen(
                list(command),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if errors_apart else subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
            self._running.add(process)
            return process

    def finished(self, process: subprocess.Popen[str]) -> int:
        """Wait for a child whose output has been read to its end; returns its exit status."""
        status = process.wait()
        with self._lock:
            self._running.discard(process)
        return status

    def end(self, process: subprocess.Popen[str]) -> None:
        """Interrupt one child, wait for `GRACE_SECONDS`, then kill it; its output is dropped."""
        _end([process])
        if process.stdout:
            process.stdout.close()
        with self._lock:
            self._running.discard(process)

    def stop(self) -> None:
        """Interrupt every child, wait for `GRACE_SECONDS`, then kill what is left."""
        with self._lock:
            self._stopping = True
            running = list(self._running)
        _end(running)


def _end(running: Sequence[subprocess.Popen[str]]) -> None:
    for process in running:
        _signal_group(process, signal.SIGINT)
    deadline = time.monotonic() + GRACE_SECONDS
    for process in running:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.0, deadline - time.monotonic()))
    for process in running:
        _signal_group(process, signal.SIGKILL)
    for process in running:
        # What was killed is gone at once, unless a driver holds it.
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=1.0)


def _signal_group(process: subprocess.Popen[str], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
