"""A run that a test interrupts, and of which nothing is left when the test fails."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

STOP_SECONDS = 180
"""More than a loaded machine takes: build.py itself kills what has not ended after 10."""
_MARK = "ROCM_IMAGES_TEST_RUN"


@dataclass(frozen=True)
class Run:
    """A process and all that it starts, which inherits a mark in its environment."""

    process: subprocess.Popen[str]
    mark: str

    @property
    def processes(self) -> list[int]:
        """Every process of the run that lives, whoever is its parent by now."""
        return [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and self.mark.encode() in _environment_of(entry)
        ]

    def values(self, variable: str) -> set[str]:
        """What a variable of the environment is for each process that has it."""
        found = (_environment_of(Path("/proc", str(process))) for process in self.processes)
        start = f"{variable}=".encode()
        return {
            entry.removeprefix(start).decode()
            for environment in found
            for entry in environment.split(b"\0")
            if entry.startswith(start)
        }

    def interrupt(self) -> tuple[str, str]:
        """Ctrl-C; returns all of standard output and error that was not read before."""
        self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=STOP_SECONDS)


@contextmanager
def started(
    words: Sequence[str],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[Run]:
    """A run of a command; whatever of it lives at the end of the block is killed.

    build.py's children lead sessions of their own, so that to kill its group is not enough.
    """
    mark = f"{_MARK}={uuid.uuid4()}"
    name, value = mark.split("=")
    process = subprocess.Popen(
        words,
        cwd=folder,
        env={**os.environ, **(environment or {}), name: value},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    run = Run(process, mark)
    with process:
        try:
            yield run
        finally:
            # Again until there is none: one that was not killed yet may have started another.
            while left := run.processes:
                for pid in left:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)


def _environment_of(entry: Path) -> bytes:
    try:
        return (entry / "environ").read_bytes()
    except OSError:
        # It ended, or is somebody else's.
        return b""
