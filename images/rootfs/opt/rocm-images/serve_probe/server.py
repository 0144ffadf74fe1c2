"""Starts one inference server and ends it, with everything that it started.

The server leads a session of its own; the kernel kills it when this program ends, however that
happens (PR_SET_PDEATHSIG), and the server's own processes end with their launcher.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from serve_probe.log_file import read_log
from serve_probe.verdict import Ending

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_POLL_SECONDS = 0.1
STOP_SECONDS = 60.0
_VANISH_SECONDS = 5.0


class Stopped(Exception):
    """The program is ending: no server may be started, none waited for."""


class Servers:
    """All servers that run: whoever ends the program ends them with close()."""

    def __init__(self) -> None:
        self._running: set[int] = set()
        self._lock = threading.Lock()
        self.closed = False

    def started(self, session: int) -> None:
        with self._lock:
            self._running.add(session)
        if self.closed:  # between the check of the caller and here
            kill_session(session)

    def ended(self, session: int) -> None:
        with self._lock:
            self._running.discard(session)

    def close(self) -> None:
        self.closed = True
        with self._lock:
            for session in self._running:
                kill_session(session)


class RunningServer:
    """One server. Used as a context manager; nothing of it is left when that is left."""

    def __init__(
        self, servers: Servers, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        if servers.closed:
            raise Stopped
        self._servers, self.log = servers, log
        self._overdue = self._stopped = False
        self.started = time.monotonic()
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(environment),
                start_new_session=True,
                preexec_fn=partial(_die_with, os.getpid()),
            )
        servers.started(self._process.pid)

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(self, *_: object) -> None:
        kill_session(self._process.pid)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_VANISH_SECONDS)
        self._servers.ended(self._process.pid)

    @property
    def ending(self) -> Ending:
        return Ending(self._process.poll(), self._stopped, self._overdue)

    @property
    def seconds(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.started

    def text(self) -> str:
        """The log so far; of an endless one its beginning and its end."""
        with self.log.open("rb") as file:
            return read_log(file)

    def wait_for(self, text: str | re.Pattern[str], seconds: float) -> bool:
        """Whether a text or a pattern came into the log within that time. Raises Stopped.

        False at once when the server ends; False, and overdue, when the time has passed.
        """
        sought = re.compile(re.escape(text)) if isinstance(text, str) else text
        deadline = time.monotonic() + seconds
        while True:
            ended = self._process.poll() is not None
            if sought.search(self.text()):
                return True
            if self._servers.closed:
                raise Stopped
            if ended:
                return False
            if time.monotonic() >= deadline:
                self._overdue = True
                return False
            time.sleep(_POLL_SECONDS)

    def wait_for_end(self, seconds: float) -> bool:
        """Whether it ended, by itself, within that time. Raises Stopped."""
        deadline = time.monotonic() + seconds
        while self._process.poll() is None:
            if self._servers.closed:
                raise Stopped
            if time.monotonic() >= deadline:
                self._overdue = True
                return False
            time.sleep(_POLL_SECONDS)
        return True

    def stop(self) -> float | None:
        """Ask it to end, as an orchestrator does; the seconds it took, or None if it did not."""
        self._stopped = True
        begun = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        overdue = self._overdue
        ended = self.wait_for_end(STOP_SECONDS)
        # That it did not stop is a check's business; whether it hung was decided before.
        self._overdue = overdue
        return time.monotonic() - begun if ended else None

    def left(self) -> tuple[str, ...]:
        """The processes of its session that are there some seconds after its end."""
        deadline = time.monotonic() + _VANISH_SECONDS
        while True:
            found = processes_of(self._process.pid)
            if not found or time.monotonic() >= deadline:
                return found
            time.sleep(_POLL_SECONDS)


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def processes_of(session: int) -> tuple[str, ...]:
    """`PID NAME` of every living process of a session, its leader apart once it is reaped."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            name, _, rest = (folder / "stat").read_text().rpartition(")")
        except (OSError, UnicodeDecodeError):
            continue
        state, _, _, of_session = rest.split()[:4]
        # A zombie is dead: where this program is process 1, nobody else reaps it.
        if of_session == str(session) and state not in "ZX":
            found.append(f"{folder.name} {name.partition('(')[2]}")
    return tuple(found)


def kill_session(session: int) -> None:
    """Kill every process of a session, whatever group it is in, and what they start meanwhile."""
    for _ in range(10):
        found = processes_of(session)
        for entry in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(int(entry.split()[0]), signal.SIGKILL)
        if not found:
            return
        time.sleep(0.02)


def _die_with(parent: int) -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(0)
