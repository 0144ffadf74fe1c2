"""What a run of conformance.py means for the test that started it."""

from __future__ import annotations

import subprocess
import warnings

CHANGED_ROWS = 1


class NewerRuntime(UserWarning):
    """Rows that a package newer than the measured one answers otherwise."""


def judge(ran: subprocess.CompletedProcess[str], pinned: bool) -> None:
    """Fails where the runtime that was measured for the tables answers otherwise today.

    `pinned` tells that it is that very package. Of a newer one, changed rows are a warning with
    both values, since a distribution's upload is no fault of this project; that nothing could be
    measured is a failure all the same.
    """
    if ran.returncode == CHANGED_ROWS and not pinned:
        with warnings.catch_warnings():
            warnings.simplefilter("always", NewerRuntime)
            warnings.warn(f"a newer package changed rows:\n{ran.stdout}", NewerRuntime, 2)
        return
    assert ran.returncode == 0, ran.stdout + ran.stderr
