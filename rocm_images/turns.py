"""Has runs in one project folder that write the same follow each other: who comes second waits.

The system takes a lock back when its process ends, however that ends, so none is left behind.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from rocm_images import telling
from rocm_images.errors import Busy
from rocm_images.files import cannot_write
from rocm_images.places import STATE
from rocm_images.waiting import waiting_for

FOLDER = STATE / "locks"
# Who may not write in the folder disturbs nobody in it; and not each network file system has locks.
_WITHOUT = frozenset(
    (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
)
_PAUSE_SECONDS = 0.1
_patience: float | None = None


def set_patience(seconds: float | None) -> None:
    """For the rest of this process: how long to wait for another run; None: until it ends."""
    global _patience
    _patience = seconds


@contextlib.contextmanager
def held(names: Iterable[str], verb: str, folder: Path | None = None) -> Iterator[None]:
    """Have these things to oneself, for a block.

    Args:
        names: of what this run writes, as the names of cells; each is a file in `folder`.
        verb: what this run does, for those who wait.
        folder: where it is noted who has them; None: of the project.

    Raises:
        Busy: another run has one of them, and longer than `set_patience` allows.
        InputError: the folder cannot be made.
    """
    with contextlib.ExitStack() as stack:
        # All in one order: two runs never wait for each other.
        for name in sorted(set(names)):
            stack.enter_context(_held((folder or FOLDER) / name, verb))
        yield


@contextlib.contextmanager
def _held(path: Path, verb: str) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            stack.callback(os.close, file)
            _take(file, path.name)
            since = datetime.datetime.now().astimezone().isoformat(" ", timespec="seconds")
            _say_who(file, f"`{telling.PROGRAM} {verb}` (process {os.getpid()}, since {since})")
            stack.callback(_say_who, file, "")
        except OSError as error:
            if error.errno not in _WITHOUT:
                raise cannot_write(path, error) from None
        yield


def _take(file: int, name: str) -> None:
    with contextlib.ExitStack() as stack:
        _wait(file, name, stack)


def _wait(file: int, name: str, stack: contextlib.ExitStack) -> None:
    deadline = None if _patience is None else time.monotonic() + _patience
    told = False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            # Between taking a lock and saying who has it there is a moment.
            holder = os.pread(file, 1000, 0).decode(errors="replace") or "another run"
        if deadline is not None and time.monotonic() >= deadline:
            raise Busy(
                f"{holder} works on {name} in this folder: run this again when it has ended, or "
                "give --wait more seconds"
            )
        if not told:
            whom = f"{holder}, which works on {name} here"
            telling.step(f"{telling.PROGRAM}: waiting for {whom}")
            stack.enter_context(waiting_for(whom))
            told = True
        time.sleep(_PAUSE_SECONDS)


def _say_who(file: int, text: str) -> None:
    # On a full disk nobody is named, and all else is as it should be.
    with contextlib.suppress(OSError):
        os.ftruncate(file, 0)
        os.pwrite(file, text.encode(), 0)
