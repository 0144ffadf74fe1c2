"""One process of the fuzzer: its command and environment, and what came of it."""

from __future__ import annotations

import os
import resource
import shlex
import signal
import subprocess
from collections import Counter
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path


class Outcome(Enum):
    """What a process came to; the statuses are those of hip.h."""

    RIGHT = "right"
    WRONG = "wrong"
    REFUSED = "refused"
    CRASHED = "crashed"
    HUNG = "hung"
    NOT_STARTED = "not started"


STATUSES = {Outcome.WRONG: 3, Outcome.CRASHED: 4, Outcome.HUNG: 5, Outcome.REFUSED: 6}
NOTHING_RUN = 1


def status_of(counts: Counter[Outcome]) -> int:
    """What a runner exits with: 0 all right, NOTHING_RUN, or the first of STATUSES that applies."""
    if not counts or counts[Outcome.NOT_STARTED]:
        return NOTHING_RUN
    return next((status for outcome, status in STATUSES.items() if counts[outcome]), 0)


def told(counts: Counter[Outcome]) -> str:
    """The counts in words."""
    return ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items())


BY_STATUS = {0: Outcome.RIGHT, 2: Outcome.WRONG, 3: Outcome.REFUSED}


@dataclass(frozen=True)
class Result:
    """An outcome and the text that goes with it."""

    outcome: Outcome
    text: str

    def last_line(self) -> str:
        """What the process said last, or nothing."""
        lines = self.text.strip().splitlines()
        return lines[-1] if lines else ""


@dataclass(frozen=True)
class Run:
    """A seed with its options (NAME to NUMBER) and what the environment has beside the caller's."""

    program: Path
    lib: str
    image: Path
    seed: int
    options: dict[str, int] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def words(self) -> list[str]:
        """The command line."""
        options = [f"{name}={number}" for name, number in self.options.items()]
        return [str(self.program), self.lib, str(self.image), str(self.seed), *options]

    def command(self) -> str:
        """The same with its environment, for a shell."""
        pairs = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        return " ".join([*pairs, shlex.join(self.words())])

    def with_options(self, **options: int) -> Run:
        """The same seed with some options changed."""
        return replace(self, options={**self.options, **options})

    def carry_out(self, limit: float) -> Result:
        """Run it for at most `limit` seconds."""
        return carry_out(self.words(), self.environment, limit)


def leave_no_core_files() -> None:
    """Processes that crash on purpose leave nothing behind."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


def carry_out(words: list[str], environment: dict[str, str], limit: float) -> Result:
    """Run a program of this folder for at most `limit` seconds."""
    try:
        done = subprocess.run(
            words,
            env={**os.environ, **environment},
            capture_output=True,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        said = (late.stdout or b"").decode(errors="replace")
        return Result(Outcome.HUNG, f"{said}\nnot done after {limit:g} s")
    text = (done.stdout + done.stderr).decode(errors="replace")
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        end = text.strip().splitlines()[-1:]
        return Result(Outcome.CRASHED, " ".join([f"ended by {name}", *end]))
    return Result(BY_STATUS.get(done.returncode, Outcome.NOT_STARTED), text)
