"""Runs one command and measures the whole of it: wall time, and memory of its process tree."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Often enough for a process of 0.3 s, seldom enough to cost it little of a core.
SAMPLE_SECONDS = 0.02


class CommandFailed(Exception):
    """A command that was to be measured failed; carries the end of what it printed."""


@dataclass(frozen=True)
class Measurement:
    """Of one run of one command."""

    seconds: float
    """From before its start to after its end: a person's wait."""
    peak_bytes: int
    """The largest sum of resident sets of the process and its descendants that a sample saw.
    Pages that processes share count for each; an engine is among them only where it was named."""


def measure(
    words: Sequence[str],
    cwd: Path,
    environment: Mapping[str, str],
    beside: Sequence[int] = (),
    sample_seconds: float = SAMPLE_SECONDS,
) -> Measurement:
    """Run a command to its end.

    Args:
        words: the command line.
        cwd: where it runs.
        environment: its whole environment.
        beside: processes whose memory, with that of their descendants, counts too.
        sample_seconds: between two looks at the memory: each costs more for more threads.

    Raises:
        CommandFailed: it ended with another status than 0.
    """
    begun = time.perf_counter()
    with subprocess.Popen(
        words,
        cwd=cwd,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        sampler = _Sampler((process.pid, *beside), sample_seconds)
        sampler.start()
        output, _ = process.communicate()
        seconds = time.perf_counter() - begun
        sampler.stop()
    if process.returncode != 0:
        tail = "\n".join(output.decode(errors="replace").splitlines()[-20:])
        raise CommandFailed(f"{' '.join(words)} ended with {process.returncode}:\n{tail}")
    return Measurement(seconds, sampler.peak)


class _Sampler(threading.Thread):
    def __init__(self, pids: Sequence[int], seconds: float) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._pids = pids
        self._seconds = seconds
        self._ended = threading.Event()

    def run(self) -> None:
        while True:
            # A process may be below another that was named.
            tree = {pid for named in self._pids for pid in process_tree(named)}
            self.peak = max(self.peak, sum(map(_resident_bytes, tree)))
            if self._ended.wait(self._seconds):
                return

    def stop(self) -> None:
        self._ended.set()
        self.join()


def process_tree(pid: int) -> Iterator[int]:
    """A process and its descendants, as far as they live."""
    yield pid
    try:
        # A child belongs to the thread that started it.
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from process_tree(int(child))
    except OSError:
        return


def _resident_bytes(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, IndexError):
        return 0
