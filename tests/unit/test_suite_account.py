"""The account of a run of tests says what each spent, and on what."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.suite import Spent, main, tables

PROJECT = Path(__file__).resolve().parents[2]
TESTS = """
import subprocess, sys, pytest

BUSY = "import time\\nwhile time.process_time() < 0.3: pass"

@pytest.fixture(scope="session")
def shared():
    subprocess.run(["sleep", "0.4"])

def test_waits(shared):
    subprocess.run([sys.executable, "-c", BUSY])

def test_does_nothing(shared):
    pass
"""


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("account")
    (folder / "test_made_up.py").write_text(TESTS)
    words = [
        "-p",
        "benchmarks.suite_plugin",
        "-p",
        "no:cacheprovider",
        f"--account={folder}/account",
    ]
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", f"--rootdir={folder}", *words, folder],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        check=True,
    )
    return folder / "account"


def test_a_test_and_a_shared_fixture_have_what_they_spent(account: Path) -> None:
    lines = map(json.loads, account.read_text().splitlines())
    spent = {one.name.rpartition("::")[2]: one for one in (Spent(**line) for line in lines)}
    shared, waits, nothing = (spent[n] for n in ("shared", "test_waits", "test_does_nothing"))
    assert shared.waits["sleep"] >= 0.2
    assert shared.starts == {"sleep": 1}
    # A fixture's time is that of its first test too.
    assert waits.starts == {"sleep": 1, "python": 1}
    assert waits.children >= 0.3
    assert waits.waits["python"] >= 0.3
    assert set(waits.phases) == {"setup", "call", "teardown"}
    assert (nothing.waits, nothing.starts) == ({}, {})
    assert nothing.children < 0.1


def test_the_dearest_come_first_and_are_added_up(
    account: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(account)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("2 tests: ")
    assert said.index("::test_waits") < said.index("::test_does_nothing")
    assert "test_made_up.py (2)" in said


def test_no_more_lines_than_were_asked_for() -> None:
    spent = [Spent(f"test_{number}.py::test_it", wall=number) for number in range(9)]
    shown = [line for line in tables(spent, 2) if "::test_it" in line]
    assert [line.split()[-1] for line in shown] == ["test_8.py::test_it", "test_7.py::test_it"]
