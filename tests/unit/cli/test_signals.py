"""At whatever moment a signal arrives, the program ends in its code, and nothing is left."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from interrupted import started
from made_up_programs import PATIENCE, Silent

PROJECT = Path(__file__).resolve().parents[3]
BUILD_PY = [sys.executable, str(PROJECT / "build.py")]
INT, TERM, HUP = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
# It asks git first, so that it never ends by itself where git does not.
ASKS_GIT = ["ci-matrix", "--changed-since=HEAD"]


@pytest.fixture
def git(tmp_path: Path) -> Iterator[Silent]:
    found = Silent(tmp_path, "git")
    yield found
    found.close()


@pytest.mark.parametrize("number", [INT, TERM, HUP])
@pytest.mark.parametrize(
    "module",
    ["rocm_images", "rocm_images.start", "click", "rocm_images.errors", "pydantic"],
)
def test_a_signal_while_it_starts_ends_it_without_a_traceback(
    git: Silent, number: signal.Signals, module: str
) -> None:
    # Python writes a line when it has imported a module.
    words = [sys.executable, "-X", "importtime", *BUILD_PY[1:], *ASKS_GIT]
    with started(words, git.environment) as run:
        assert run.process.stderr is not None
        assert any(line.rpartition("|")[2].strip() == module for line in run.process.stderr)
        run.process.send_signal(number)
        _, told = run.process.communicate(timeout=PATIENCE)
        assert run.processes == []
    # What arrives before the first line of ours has run is the system's own: the same to a shell.
    early = [-number] if module in ("rocm_images", "rocm_images.start") else []
    assert run.process.returncode in [128 + number, *early]
    assert "Traceback" not in told
    assert "Exception ignored" not in told


@pytest.mark.parametrize("number", [INT, TERM, HUP])
def test_a_signal_while_it_works_ends_it_and_its_child(git: Silent, number: signal.Signals) -> None:
    with started([*BUILD_PY, *ASKS_GIT], git.environment) as run:
        assert git.says() == "begun\n"
        run.process.send_signal(number)
        _, told = run.process.communicate(timeout=PATIENCE)
        # What was killed still has to be given a core to end on.
        assert git.says() == ""
        assert run.processes == []
    assert (run.process.returncode, told.strip()) == (128 + number, "build.py: interrupted")


VERIFIES = """
from concurrent.futures import ThreadPoolExecutor
import os, sys
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.trust import Trust
from rocm_images.start import run
def program():
    cosign = Cosign(RegistryAddress.parse("127.0.0.1:1/team"), os.environ)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda image: cosign.verify(image, Trust("a.pub")), "abcdefgh"))
run(lambda: program)
"""


@pytest.mark.parametrize("number", [INT, TERM, HUP])
@pytest.mark.parametrize("at_interrupt", ["exit 1", ""], ids=["willing", "unwilling"])
def test_no_cosign_goes_on_alone(tmp_path: Path, number: signal.Signals, at_interrupt: str) -> None:
    cosign = Silent(tmp_path, "cosign", at_interrupt)
    with started([sys.executable, "-c", VERIFIES], cosign.environment, PROJECT) as run:
        assert "begun\n" in cosign.says()
        run.process.send_signal(number)
        _, told = run.process.communicate(timeout=PATIENCE)
        while cosign.says():
            pass
        assert run.processes == []
    assert run.process.returncode == 128 + number
    assert told.strip().endswith("interrupted")
    assert "Traceback" not in told
    cosign.close()


@pytest.mark.parametrize(
    "words", ["ci-matrix --key=kms://a-key --missing-from={}", "plan --registry={}"]
)
def test_a_registry_that_says_nothing_keeps_nobody(words: str, tmp_path: Path) -> None:
    cosign = Silent(tmp_path, "cosign")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        verb = words.format(f"127.0.0.1:{server.getsockname()[1]}/team").split()
        with started([*BUILD_PY, *verb], cosign.environment, PROJECT) as run, server.accept()[0]:
            run.process.send_signal(INT)
            # Less than the registry is given to answer.
            _, told = run.process.communicate(timeout=30)
    assert (run.process.returncode, told.strip()) == (130, "build.py: interrupted")
    cosign.close()


PATIENT = """
import rocm_images.cli.signals, rocm_images.supervisor as supervising
supervising.GRACE_SECONDS = 3600
supervising.END_SECONDS = rocm_images.cli.signals.END_SECONDS = 3600
from rocm_images.start import run
def program():
    supervising.supervisor.run(["git"], seconds=3600)
run(lambda: program)
"""


WAITS = """
from rocm_images import clock, telling, waiting
clock.SECONDS = clock.DRAWN_SECONDS = 0.05
from rocm_images.start import run
from rocm_images.supervisor import supervisor
def program():
    telling.step("it begins")
    with waiting.waiting_for("git"):
        supervisor.run(["git"], seconds=3600)
run(lambda: program)
"""


def test_the_line_of_a_wait_is_gone_where_ctrl_c_is_answered(git: Silent) -> None:
    master, terminal = pty.openpty()
    words = [sys.executable, "-c", WAITS]
    environment = {**os.environ, **git.environment, "TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen(words, cwd=PROJECT, env=environment, stderr=terminal)
    os.close(terminal)
    told, asked = b"", False
    with contextlib.suppress(OSError):
        while more := os.read(master, 65536):
            told += more
            # Once: a second Ctrl-C waits for nothing.
            if not asked and re.search(rb"waiting (?:\d+ s )?for git", told):
                process.send_signal(INT)
                asked = True
    os.close(master)
    assert process.wait(PATIENCE) == 130
    begun, *drawn, last = told.decode().replace("\r\n", "\n").split("\r\x1b[K")
    assert re.match(r"it begins\nbuild.py: waiting (?:\d+ s )?for git", begun)
    assert all(line.startswith("build.py: waiting ") for line in drawn)
    assert last == "build.py: interrupted\n"


def test_a_second_ctrl_c_waits_for_nobody(tmp_path: Path) -> None:
    git = Silent(tmp_path, "git", "echo asked >&3")
    with started([sys.executable, "-c", PATIENT], git.environment, PROJECT) as run:
        assert git.says() == "begun\n"
        run.process.send_signal(INT)
        assert git.says() == "asked\n"
        assert run.process.poll() is None
        run.process.send_signal(INT)
        _, told = run.process.communicate(timeout=PATIENCE)
        # What was killed still has to be given a core to end on.
        assert git.says() == ""
        assert run.processes == []
    assert (run.process.returncode, told.strip()) == (130, "build.py: interrupted")
    git.close()


DEAF = """
import time
from rocm_images.start import run
def program():
    print("deaf", flush=True)
    while True:
        try:
            time.sleep(3600)
        except KeyboardInterrupt:
            print("and stays so")
run(lambda: program)
"""


def test_a_main_thread_that_goes_on_is_not_waited_for() -> None:
    with started([sys.executable, "-c", DEAF], folder=PROJECT) as run:
        assert run.process.stdout is not None
        assert run.process.stdout.readline() == "deaf\n"
        run.process.send_signal(TERM)
        _, told = run.process.communicate(timeout=PATIENCE)
    assert (run.process.returncode, told) == (143, "build.py: interrupted\n")


def test_what_it_was_started_to_ignore_it_ignores(git: Silent) -> None:
    words = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh", *BUILD_PY, *ASKS_GIT]
    with started(words, git.environment) as run:
        assert git.says() == "begun\n"
        run.process.send_signal(HUP)
        run.process.send_signal(INT)
        run.process.communicate(timeout=PATIENCE)
    assert run.process.returncode == 130


def test_in_the_background_its_child_is_asked_to_end_by_a_signal_that_it_hears(
    tmp_path: Path,
) -> None:
    git = Silent(tmp_path, "git", at_interrupt="echo told >&3; exit 1", number="TERM")
    # As a shell without jobs starts what it does not wait for.
    words = ["sh", "-c", "trap '' INT QUIT; exec \"$@\"", "sh", *BUILD_PY, *ASKS_GIT]
    with started(words, git.environment) as run:
        assert git.says() == "begun\n"
        run.process.send_signal(INT)
        run.process.send_signal(TERM)
        assert git.says() == "told\n"
        run.process.communicate(timeout=PATIENCE)
        assert git.says() == ""
        assert run.processes == []
    git.close()
    assert run.process.returncode == 143
