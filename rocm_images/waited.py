"""Runs a command, and says meanwhile what it does and for how long already: `make environment`.

    python -m rocm_images.waited "pip" COMMAND...

It needs the standard library alone, as there is nothing else yet. What the command complains of is
shown when it has ended; its exit code is this one's.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from rocm_images import telling
from rocm_images.masking import masked
from rocm_images.start import handle
from rocm_images.streams import GivenUp
from rocm_images.supervisor import supervisor
from rocm_images.waiting import waiting_for

SECONDS = 3600.0
"""The most that it is given."""


def run(whom: str, command: Sequence[str]) -> int:
    """Run it to its end; returns its exit code."""
    sys.stderr = telling.Shown(sys.stderr)
    try:
        with waiting_for(whom) as wait:
            done = supervisor.run(command, seconds=SECONDS, on_line=wait.at)
    except OSError as error:
        telling.failure(f"{command[0]} cannot be started: {error.strerror}")
        return 127
    except GivenUp as error:
        telling.failure(f"{whom} gave {error}")
        return 124
    sys.stderr.write(masked(done.errors or (done.output if done.status else "")))
    return done.status if done.status >= 0 else 128 - done.status


def _leave(number: int, _: FrameType | None) -> NoReturn:
    """The command is in a session of its own, and ends as this unwinds."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    handle(_leave)
    try:
        sys.exit(run(sys.argv[1], sys.argv[2:]))
    finally:
        # A signal may come while the command is being started.
        supervisor.stop()
