"""A test that fails in the middle of a run leaves no process of it behind."""

from __future__ import annotations

import sys

import pytest

from interrupted import Run, started

# As build.py does: a child that leads a session of its own. "ends" leaves it without a parent.
PARENT = """\
import subprocess, sys
subprocess.Popen(["sleep", "600"], start_new_session=True)
print("started", flush=True)
while sys.argv[1] == "waits":
    input()
"""


class Failed(Exception):
    """What a failing assertion raises, in a test that is about it."""


def a_test_that_fails(parent: str, runs: list[Run]) -> None:
    # Another child in its own group, from which a parent that waits never hears.
    words = ["sh", "-c", 'sleep 600 | exec "$@"', "sh", sys.executable, "-c", PARENT, parent]
    with started(words) as run:
        runs.append(run)
        assert run.process.stdout is not None
        assert run.process.stdout.readline() == "started\n"
        assert len(run.processes) > 1
        raise Failed


@pytest.mark.parametrize("parent", ["waits", "ends"])
def test_what_a_failed_test_started_is_killed_with_its_children(parent: str) -> None:
    runs: list[Run] = []
    with pytest.raises(Failed):
        a_test_that_fails(parent, runs)
    assert [run.processes for run in runs] == [[]]
    assert runs[0].process.returncode is not None
