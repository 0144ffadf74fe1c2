"""Starts the probe's children, hears them, and ends them all: by a deadline, a signal, or at exit.

Each child leads a session of its own and dies with this process (PR_SET_PDEATHSIG). Only SIGKILL is
used: no handler runs in a process that is stuck in a driver's call. Single-threaded on purpose: the
kernel sends a parent's death signal when the *thread* that forked ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import NamedTuple

from graph_probe.channel import Message, parse_message
from graph_probe.exit_codes import ExitCode, ProbeError

_REAP_SECONDS = 5.0
_POLL_SECONDS = 0.01
_LOG_LINES = 15
_SIGNALS = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
    signal.SIGHUP: ExitCode.HANGUP,
}


class Child:
    """One child process: its pipe of messages, its log, and what it last said it was doing."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], pipe: int, log: Path) -> None:
        self.name, self.process, self.pipe, self.log = name, process, pipe, log
        self.phase = "starting"
        self.buffer = b""

    def tell(self, **content: object) -> None:
        """Sends an instruction. A child that is already gone is heard of by its end."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(content).encode() + b"\n")
            self.process.stdin.flush()

    def log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_LINES:])


class Ended(NamedTuple):
    """A child's end without a final message; negative `status` is the signal it died on."""

    status: int

    def sentence(self, child: Child) -> str:
        log = child.log_tail()
        said = f" It last printed:\n{log}" if log else ""
        if self.status < 0:
            how = f"died on {signal.Signals(-self.status).name}"
        else:
            how = f"ended with status {self.status} and no result"
        return f"The process for {child.name} {how} while {child.phase}.{said}"

    @property
    def code(self) -> ExitCode:
        return ExitCode.DIED_ON_SIGNAL if self.status < 0 else ExitCode.PROBE_DEFECT


class Supervisor:
    """Owns all children. Used as a context manager; nothing is left alive when it is left."""

    def __init__(self, folder: Path, seconds: float, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._environment = dict(environment)
        self._selector = selectors.DefaultSelector()
        self._alive: list[Child] = []
        self._ending: list[Child] = []
        self._started = 0
        self._handlers: dict[signal.Signals, object] = {}
        self._signal: signal.Signals | None = None
        self._wake, self._woken_by = os.pipe()

    def __enter__(self) -> Supervisor:
        # The handler only notes the signal: an exception raised wherever the interpreter happens
        # to be can be lost in a destructor. The wake-up descriptor ends the wait in select.
        os.set_blocking(self._woken_by, False)
        signal.set_wakeup_fd(self._woken_by, warn_on_full_buffer=False)
        self._selector.register(self._wake, selectors.EVENT_READ)
        for number in _SIGNALS:
            self._handlers[number] = signal.signal(number, self._note_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for child in self._alive:
            _kill(child)
        deadline = time.monotonic() + _REAP_SECONDS
        for child in self._alive:
            _reap(child, deadline)
        self._selector.close()
        signal.set_wakeup_fd(-1)
        os.close(self._wake)
        os.close(self._woken_by)
        for which, handler in self._handlers.items():
            signal.signal(which, handler)  # type: ignore[arg-type]

    def start(self, name: str, specification: Mapping[str, object], **environment: str) -> Child:
        """Starts `python -m graph_probe.child` with this specification."""
        reader, writer = os.pipe()
        content = {**specification, "descriptor": writer, "parent": os.getpid()}
        command = [sys.executable, "-S", "-m", "graph_probe.child", json.dumps(content)]
        packages = str(Path(__file__).parents[1])
        return self.start_command(name, command, reader, writer, PYTHONPATH=packages, **environment)

    def start_command(
        self, name: str, command: list[str], reader: int, writer: int, **environment: str
    ) -> Child:
        """Starts any command that writes its messages to the descriptor `writer`."""
        self._started += 1
        log = self._folder / f"{self._started}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=(writer,),
                start_new_session=True,
                env={**self._environment, **environment},
            )
        os.close(writer)
        child = Child(name, process, reader, log)
        self._alive.append(child)
        self._selector.register(reader, selectors.EVENT_READ, child)
        return child

    def messages(self) -> Iterator[tuple[Child, Message | Ended]]:
        """What the children say, and their ends, until none is left or the caller stops.

        Raises ProbeError HUNG_AND_KILLED at the deadline, and the code of a signal.
        """
        while self._alive:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise ProbeError(ExitCode.HUNG_AND_KILLED, self._late())
            if self._signal is not None:
                sentence = f"Ended by {self._signal.name}; no process is left."
                raise ProbeError(_SIGNALS[self._signal], sentence)
            # A process can take long to end after it closed its pipe: drivers tidy up then.
            timeout = min(left, _POLL_SECONDS) if self._ending else left
            for key, _ in self._selector.select(timeout):
                if key.data is not None:
                    yield from ((key.data, message) for message in self._hear(key.data))
            yield from self._ended()

    def _hear(self, child: Child) -> Iterator[Message]:
        data = os.read(child.pipe, 1 << 16)
        *lines, child.buffer = (child.buffer + data).split(b"\n")
        for line in lines:
            message = parse_message(line)
            if message["kind"] == "phase":
                child.phase = message["text"]
            else:
                yield message
        if not data:
            self._selector.unregister(child.pipe)
            os.close(child.pipe)
            self._ending.append(child)

    def _ended(self) -> Iterator[tuple[Child, Ended]]:
        for child in list(self._ending):
            status = _exit_status(child)
            if status is not None:
                self._ending.remove(child)
                self._alive.remove(child)
                _kill(child)  # what it left in its group, while its zombie still holds the number
                _reap(child, time.monotonic() + _REAP_SECONDS)
                yield child, Ended(status)

    def _note_signal(self, number: int, _: FrameType | None) -> None:
        self._signal = signal.Signals(number)

    def _late(self) -> str:
        doing = "; ".join(f"{child.name} was still {child.phase}" for child in self._alive)
        return f"No end within {self._seconds:g} s, so every process was killed: {doing}."


def _exit_status(child: Child) -> int | None:
    """The status of a process that has ended, unreaped; None while it has not."""
    info = os.waitid(os.P_PID, child.process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
    if info is None:
        return None
    return info.si_status if info.si_code == os.CLD_EXITED else -info.si_status


def _kill(child: Child) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, signal.SIGKILL)


def _reap(child: Child, deadline: float) -> None:
    """Bounded: a process that a driver holds does not die, and must not hold its caller."""
    if child.process.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            child.process.stdin.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.process.wait(max(0.0, deadline - time.monotonic()))
