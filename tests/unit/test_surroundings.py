"""Whoever starts the tests, and however, they find the same."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from surroundings import known

PROJECT = Path(__file__).resolve().parents[2]

# A process as the tests start them, and what a shell or nohup left for it.
_LEFT = """
import os, signal, subprocess, sys, tempfile
tempfile.gettempdir()
sys.path.insert(0, sys.argv[1])
signal.signal(signal.{name}, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.{name}])
from surroundings import settle
settle(machine={machine})
child = subprocess.Popen(["sleep", "600"])
child.send_signal(signal.{name})
print(os.environ["HOME"], -child.wait(timeout=30), tempfile.gettempdir(), sep="\\n")
"""


def settled(name: str = "SIGINT", *, machine: bool = False, **environment: str) -> list[str]:
    """HOME as tests see it, the signal that ended what was sent `name`, and where files go."""
    words = [sys.executable, "-c", _LEFT.format(name=name, machine=machine)]
    done = subprocess.run(
        [*words, PROJECT / "tests" / "made_up"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
def test_what_the_tests_start_can_be_ended_though_they_run_in_the_background(name: str) -> None:
    assert settled(name)[1] == str(getattr(signal, name).value)


def test_a_home_that_cannot_be_written_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for home in ("/proc", str(tmp_path / "file" / "home"), str(tmp_path / "absent")):
        found = settled(machine=True, HOME=home)[0]
        assert found != home
        # It is gone with the tests.
        assert not Path(found).exists()
    assert settled(machine=True, HOME=str(tmp_path))[0] == str(tmp_path)
    # Tests that need no engine have no use for what is configured there.
    assert settled(machine=False, HOME=str(tmp_path))[0] != str(tmp_path)


def test_a_folder_for_files_too_long_for_sockets_is_not_used(tmp_path: Path) -> None:
    long = tmp_path / ("long" * 20)
    long.mkdir()
    assert settled(TMPDIR=str(long))[2] == "/tmp"
    short = "/var/tmp"
    assert settled(TMPDIR=short)[2] == short


def test_no_habit_of_who_runs_the_tests_reaches_what_they_test() -> None:
    habits = {"GIT_DIR": ".git", "NO_COLOR": "1", "COLUMNS": "40", "ROCM_IMAGES_MATRIX": "m"}
    engine = {"DOCKER_HOST": "unix:///x", "HTTPS_PROXY": "http://p:1"}
    alone = known({**habits, **engine, "PATH": "/bin"}, machine=False)
    assert alone["PATH"] == "/bin"
    assert not {*habits, *engine} & set(alone)
    beside = known({**habits, **engine, "no_proxy": "intern.example"}, machine=True)
    assert not set(habits) & set(beside)
    assert engine.items() <= beside.items()
    assert beside["no_proxy"] == "intern.example,localhost,127.0.0.1,::1"


def test_what_a_test_calls_absent_nobody_can_have_made() -> None:
    # Below /proc no file can be made; what lies below / a machine may have.
    guessed = re.compile(r"(?<![\w./}-])/+(nonexistent|nowhere|no/such|does/not)\b")
    assert guessed.search('"/nonexistent/file"')
    assert not guessed.search('"/proc/absent/file", f"{folder}/absent", "parts/nowhere.j2"')
    found = [
        f"{path.relative_to(PROJECT)}: {match.group()}"
        for folder in ("tests", "emulation")
        for path in sorted((PROJECT / folder).rglob("*"))
        if path.suffix in (".py", ".cpp", ".sh") and path != Path(__file__)
        for match in guessed.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []
