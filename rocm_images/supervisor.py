"""What must not outlive the run: child programs, containers, temporary tags.

There is one `supervisor`, and the end of the command line stops it (cli/ending.py): docs/ending.md.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rocm_images import streams, telling
from rocm_images.clock import clock
from rocm_images.loopback import beside_proxies
from rocm_images.threads import aside
from rocm_images.waiting import waiting_for

if TYPE_CHECKING:
    import subprocess

GRACE_SECONDS = 1.5
"""Between the interrupt that a child is sent and its death."""
KILL_SECONDS = 0.5
UNDO_SECONDS = 1.5
END_SECONDS = 4.5
"""More than the three together: after a signal the process is gone, whatever it waits for."""
_LOOK_SECONDS = 0.02
T = TypeVar("T")


class Stopped(Exception):
    """The run is being stopped: nothing more may begin."""


@dataclass(frozen=True)
class Answer:
    """What a child that ended by itself left: its exit status and what it wrote."""

    status: int
    content: bytes
    complaint: bytes
    """The end of it (streams.COMPLAINT_BYTES)."""

    @property
    def output(self) -> str:
        """Its standard output as text."""
        return self.content.decode(errors="replace")

    @property
    def errors(self) -> str:
        """Its standard error as text."""
        return self.complaint.decode(errors="replace")


class Supervisor:
    """Everything that is to be stopped and undone; safe to use from several threads.

    Each child leads a session of its own, so that Ctrl-C on the terminal reaches this process
    alone, which then stops them in an orderly way.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[Any]] = set()
        self._asked: set[subprocess.Popen[Any]] = set()
        self._undo: dict[threading.Event, Callable[[], object]] = {}
        self._stopping = threading.Event()
        self._hurry = threading.Event()
        self._stopped = threading.Event()

    def begin(self) -> None:
        """Forget that it was ever stopped: a process may run several command lines in turn."""
        for event in (self._stopping, self._hurry, self._stopped):
            event.clear()
        clock.hushed = False
        telling.begin()

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    @contextmanager
    def child(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Iterator[subprocess.Popen[Any]]:
        """A child that has ended with the block; if the block fails, it is made to.

        Its standard output and error arrive together as text, unless `options` of Popen differ.

        Raises:
            Stopped: the run is being stopped.
            OSError: the command cannot be started.
        """
        import subprocess

        given = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, **options}
        if given.setdefault("text", True):
            given["errors"] = "replace"

        def start() -> subprocess.Popen[Any]:
            with self._lock:
                if self.stopping:
                    raise Stopped
                process = subprocess.Popen(
                    [*command],
                    env=beside_proxies(os.environ if environment is None else environment),
                    stdout=subprocess.PIPE,
                    start_new_session=True,
                    **given,
                )
                self._running.add(process)
                return process

        process = aside(start)
        try:
            yield process
            process.wait()
        except BaseException:
            self._end([process])
            raise
        finally:
            # Another thread may still read what somebody outside its session holds open.
            closing = threading.Thread(target=_close, args=(process,), daemon=True)
            closing.start()
            closing.join(KILL_SECONDS)
            with self._lock:
                self._running.discard(process)
                self._asked.discard(process)

    def run(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str] | None = None,
        *,
        seconds: float,
        most: int = streams.MOST_BYTES,
        given: bytes | None = None,
        folder: Path | None = None,
        on_line: Callable[[str], object] | None = None,
    ) -> Answer:
        """Run a child to its end, with `given` on its standard input.

        One that is given up is killed at once with all that it started, and they are gone then.

        Args:
            command: what is run.
            environment: its own; None: this process's.
            seconds: until it has ended and nobody holds its output.
            most: bytes of its output. Of its complaint the end is kept.
            given: its standard input; None: it has none.
            folder: where it runs.
            on_line: is told of each line that it writes to either stream.

        Raises:
            streams.TookTooLong: it had not ended after `seconds`.
            streams.TooMuch: it wrote more than `most`. Both are streams.GivenUp, which is what to
                catch.
            Stopped: the run is being stopped.
            OSError: the command cannot be started.
        """
        import subprocess

        stdin = subprocess.DEVNULL if given is None else subprocess.PIPE
        options = {"stdin": stdin, "stderr": subprocess.PIPE, "text": False, "cwd": folder}
        whom = Path(command[0]).name
        with (
            waiting_for(whom, otherwise=True),
            self.child(command, environment, **options) as process,
        ):

            def over() -> bool:
                # Whoever outlived it in a session of its own may hold its output for ever.
                return self.stopping and process.poll() is not None

            try:
                content, complaint = streams.read(
                    process, seconds, over, given=given or b"", most=most, on_line=on_line
                )
            except streams.GivenUp:
                give_no_grace(process)
                streams.wait_for_nobody(process, over)
                raise
        if self.stopping:
            # It was stopped, so that what it said is no answer.
            raise Stopped
        return Answer(process.returncode, content, complaint)

    @contextmanager
    def undone(self, do: Callable[[], T], undo: Callable[[], object]) -> Iterator[T]:
        """Gives what `do` makes, with `undo` called at the end of the block or of the run.

        Args:
            do: is not interrupted.
            undo: may be called twice, at once, and though `do` failed.

        Raises:
            Stopped: the run is being stopped.
        """
        done = threading.Event()

        def whole() -> T:
            try:
                return do()
            finally:
                done.set()

        def undo_it() -> None:
            done.wait(UNDO_SECONDS / 2)
            undo()

        with self._lock:
            if self.stopping:
                raise Stopped
            self._undo[done] = undo_it
        try:
            yield aside(whole)
        except BaseException:
            # What went wrong says more than what cannot be undone for it; the end tries again.
            with suppress(Exception):
                aside(undo_it)
                self._forget(done)
            raise
        aside(undo_it)
        self._forget(done)

    def _forget(self, done: threading.Event) -> None:
        with self._lock:
            self._undo.pop(done, None)

    def hurry(self) -> None:
        """End the grace of children that are being stopped."""
        self._hurry.set()

    def stop(self) -> None:
        """Interrupt every child, kill what is left after its grace, then undo what is undone.

        Whoever calls it while it is at work waits for its end.
        """
        clock.hushed = True
        with self._lock:
            first = not self.stopping
            self._stopping.set()
            running, undo = list(self._running), list(self._undo.values())
        if not first:
            self._stopped.wait(END_SECONDS)
            return
        self._end(running)
        threads = [threading.Thread(target=_try, args=(one,), daemon=True) for one in undo]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + UNDO_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._stopped.set()

    def _end(self, running: Sequence[subprocess.Popen[Any]]) -> None:
        # What ignores SIGINT from its start on, as in a shell's background, starts its children so.
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        with self._lock:
            # By whoever is first, `stop` or the owner's block: many take a second Ctrl-C for haste.
            asked = [process for process in running if process not in self._asked]
            self._asked.update(asked)
        for process in asked:
            _signal_group(process, signal.SIGTERM if ignored else signal.SIGINT)
        deadline = time.monotonic() + GRACE_SECONDS
        while any(process.poll() is None for process in running):
            if time.monotonic() > deadline or self._hurry.wait(_LOOK_SECONDS):
                break
        for process in running:
            # What it started, too, where it is gone already.
            _signal_group(process, signal.SIGKILL)
        deadline = time.monotonic() + KILL_SECONDS
        for process in running:
            # What was killed is gone at once, unless a driver holds it.
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(_LOOK_SECONDS)


supervisor = Supervisor()
"""The only one of this process."""


def _try(undo: Callable[[], object]) -> None:
    # At the end there is nobody who could mend it; the engine's owner sees the label of what stays.
    with suppress(Exception):
        undo()


def _close(process: subprocess.Popen[Any]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            with suppress(OSError):
                pipe.close()


def give_no_grace(process: subprocess.Popen[Any]) -> None:
    """End a child and whatever it started at once: nobody waits for what they would still say."""
    _signal_group(process, signal.SIGKILL)


def _signal_group(process: subprocess.Popen[Any], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
