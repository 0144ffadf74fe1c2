"""Programs in place of git, cosign and others, that begin and then say nothing.

Nobody goes on with a cosign that has not said its version, so that this one says it.
"""

from __future__ import annotations

import os
import select
import shlex
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from rocm_images import streams
from rocm_images.supervisor import Supervisor

PATIENCE = 60.0
"""Seconds that a test waits for what happens at once, unless the machine is loaded."""

# It waits for what it started in the background: a shell would hear a signal that comes before a
# program in its foreground only after that program.
_SCRIPT = """\
#!/bin/sh
{version}
exec 3> {pipe}
trap '{at_interrupt}' {number}
sleep 600 & sleep 600 &
echo begun >&3
wait
wait
wait
"""


COSIGN_VERSION = 'test "$1" = version && echo "GitVersion: v2.5.0" && exit 0'
"""The line of a shell's script with which a stand-in for cosign says its version."""


class Silent:
    """One program on a PATH of its own; all that it starts holds a pipe open."""

    def __init__(
        self, folder: Path, name: str, at_interrupt: str = "exit 1", number: str = "INT"
    ) -> None:
        self.path = folder / name
        pipe = folder / f"{name}.pipe"
        os.mkfifo(pipe)
        self._reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        script = _SCRIPT.format(
            version=COSIGN_VERSION if name == "cosign" else "",
            pipe=shlex.quote(str(pipe)),
            at_interrupt=at_interrupt,
            number=number,
        )
        self.path.write_text(script)
        self.path.chmod(0o755)
        self.environment = {"PATH": f"{folder}:{os.environ['PATH']}"}

    def says(self) -> str:
        """What it writes to its pipe next; "" when nothing of it lives any more."""
        assert select.select([self._reader], [], [], PATIENCE)[0], f"{self.path.name} says nothing"
        return os.read(self._reader, 4096).decode()

    def close(self) -> None:
        os.close(self._reader)


def stopped_while_it_runs(supervisor: Supervisor, words: list[str], silent: Silent) -> list[str]:
    """Stop the supervisor's run of a command as soon as the program has begun in it.

    Returns the names of what the run raised.
    """
    failures: list[str] = []

    def work() -> None:
        try:
            supervisor.run(words, seconds=PATIENCE)
        except BaseException as error:
            failures.append(type(error).__name__)

    thread = threading.Thread(target=work)
    thread.start()
    assert silent.says() == "begun\n"
    supervisor.stop()
    thread.join()
    return failures


class Starter:
    """The lines of a shell's script that starts others, and which of these live."""

    def __init__(self, folder: Path) -> None:
        self._pids, self._begun, self._asked = (
            folder / name for name in ("pids", "begun", "asked")
        )
        self.script = (
            f"trap 'echo asked > {self._asked}' INT TERM\n"
            f"for each in 1 2; do sleep 600 & echo $! >> {self._pids}; done\n"
            f": > {self._begun}\n"
        )

    def over_once_begun(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have its deadline be over as soon as it has started them, on a loaded machine too.

        It is of PATIENCE seconds, and begins when the clock is first looked at.
        """
        first = iter([0.0])

        def now() -> float:
            return time.monotonic() + next(first, PATIENCE if self._begun.exists() else 0.0)

        monkeypatch.setattr(streams, "time", SimpleNamespace(monotonic=now))

    @property
    def asked(self) -> bool:
        """Whether it was asked to end by a signal that it can hear."""
        return self._asked.exists()

    @property
    def living(self) -> int:
        """How many of them live; one that is killed has no command before it lets go of pipes."""
        places = [Path("/proc", pid, "cmdline") for pid in self._pids.read_text().split()]
        return sum(bool(place.exists() and place.read_bytes()) for place in places)
