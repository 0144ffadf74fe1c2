"""Runs targets of the Makefile side by side, and says meanwhile how far each is: `make test`.

    python rehearsal/lanes.py images no-images -- make --no-print-directory

What a target writes is shown whole when it has ended, so that no two are mixed. All run to their
end, whichever fails. They are of this process's own group: Ctrl-C reaches them as it reaches this
one, and each cleans up behind itself for as long as it needs.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from rocm_images import telling
from rocm_images.waiting import Wait

_PIECE = 65536
# What pytest draws of a file of tests: its name where there is one, a letter for each, and how far.
_DRAWN = re.compile(r"(?P<name>[\w./-]+\.py )?[.sxXFE]* *(?P<far>\[ *\d+%\])")
_INTERRUPTED = 128 + signal.SIGINT
_ENDED = 128 + signal.SIGTERM
_NOT_STARTED = 127
_LOOK_SECONDS = 0.5
_SHOWING = threading.Lock()


def run(targets: Sequence[str], make: Sequence[str]) -> int:
    """Run the targets to their ends.

    Args:
        targets: each is run by a make of its own.
        make: the program with its options and variables.

    Returns:
        0 where every target was made; otherwise the highest status of a make.
    """
    sys.stderr = telling.Shown(sys.stderr)
    # Theirs are no jobs of the make that started this.
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
    lanes = [_Lane(target, [*make, target], environment) for target in targets]

    def end(_: int, __: FrameType | None) -> None:
        for lane in lanes:
            lane.end()

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    # Heard from here on; before, nothing runs.
    for lane in lanes:
        lane.start()
    interrupted = False
    for lane in lanes:
        while lane.is_alive():
            try:
                # A signal that the system gives to another thread wakes nobody here.
                lane.join(_LOOK_SECONDS)
            except KeyboardInterrupt:
                interrupted = True
    return max(_INTERRUPTED if interrupted else 0, *(lane.status for lane in lanes))


class _Lane(threading.Thread):
    def __init__(self, target: str, command: Sequence[str], environment: dict[str, str]) -> None:
        super().__init__(daemon=True)
        self._target, self._command, self._environment = target, command, environment
        self._process: subprocess.Popen[bytes] | None = None
        self._ending = False
        self.status = _ENDED

    def end(self) -> None:
        """End it, at once or as soon as it has begun."""
        self._ending = True
        if self._process is not None:
            # What it runs make ends at this signal alone.
            self._process.terminate()

    def run(self) -> None:
        with tempfile.TemporaryFile() as kept:
            with Wait("", words=self._target).counted() as wait:
                status = self._made(wait, kept)
            # A make that a signal ended has a negative one.
            self.status = status if status >= 0 else 128 - status
            with _SHOWING:
                self._show(kept)

    def _made(self, wait: Wait, kept: IO[bytes]) -> int:
        try:
            # To a file, which ends with make, whoever that left behind holds it open.
            self._process = process = subprocess.Popen(
                self._command, env=self._environment, stdout=kept, stderr=subprocess.STDOUT
            )
        except OSError as error:
            kept.write(f"{self._command[0]} cannot be started: {error.strerror}\n".encode())
            return _NOT_STARTED
        if self._ending:
            self.end()
        step, begun, read = "", b"", 0
        while True:
            status = process.poll()
            piece = os.pread(kept.fileno(), _PIECE, read)
            read += len(piece)
            *lines, begun = (begun + piece).split(b"\n")
            for line in lines:
                step = self._at(wait, step, line.decode(errors="replace").strip())
            begun = begun[-_PIECE:]
            if piece:
                continue
            if status is not None:
                return status
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_SECONDS)

    @staticmethod
    def _at(wait: Wait, step: str, line: str) -> str:
        """Say how far it is; returns the step of the target that is at work."""
        drawn = _DRAWN.fullmatch(line)
        if drawn:
            wait.at(f"{step} {drawn['name'] or ''}{drawn['far']}")
        elif line:
            # A step is told by make itself, and everything else by what it runs.
            step = line if line.startswith(".venv/") else step
            wait.at(line)
        return step

    def _show(self, kept: IO[bytes]) -> None:
        ended = f"with status {self.status}" if self.status else "well"
        telling.step(f"{self._target}: ended {ended}")
        kept.seek(0)
        sys.stdout.flush()
        shutil.copyfileobj(kept, sys.stdout.buffer)
        sys.stdout.flush()


if __name__ == "__main__":
    between = sys.argv.index("--")
    sys.exit(run(sys.argv[1:between], sys.argv[between + 1 :]))
