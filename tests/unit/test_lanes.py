"""`make test` runs two lanes side by side, says how far each is, and shows each whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from made_up_programs import Silent
from terminals import PROJECT, on_a_terminal

LANES = str(PROJECT / "rehearsal" / "lanes.py")


@pytest.fixture
def makefile(tmp_path: Path) -> Path:
    """Two lanes of which each waits until the other has begun."""
    for name in ("one", "two"):
        os.mkfifo(tmp_path / name)
    path = tmp_path / "Makefile"
    path.write_text(
        "first:\n\t@echo first begins; echo > one; cat two; echo first ends\n"
        "second:\n\t@echo second begins; cat one; echo > two; echo second ends >&2; $(LAST)\n"
    )
    return path


def words(makefile: Path, *variables: str) -> list[str]:
    make = ["make", "--no-print-directory", "-C", str(makefile.parent), *variables]
    return [LANES, "first", "second", "--", *make]


@pytest.mark.parametrize(("last", "code"), [("LAST=true", 0), ("LAST=exit 3", 2)])
def test_both_run_at_once_and_each_is_shown_whole(makefile: Path, last: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, *words(makefile, last)],
        env={**os.environ, "MAKEFLAGS": "n", "MAKELEVEL": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, done
    assert "first begins\n\nfirst ends\n" in done.stdout
    assert "second begins\n\nsecond ends\n" in done.stdout
    assert ("Error 3" in done.stdout) == bool(code)
    endings = sorted(done.stderr.splitlines())
    second = "second: ended well" if code == 0 else "second: ended with status 2"
    assert endings == ["first: ended well", second]


def test_at_a_terminal_the_step_and_how_far_it_is_stand_with_their_time(tmp_path: Path) -> None:
    # It ends once it has been shown: whoever draws it writes to a pipe that it reads.
    os.mkfifo(tmp_path / "end")
    (tmp_path / "Makefile").write_text(
        "first:\n"
        "\t@echo '.venv/bin/pytest tests/pipeline'\n"
        "\t@echo 'tests/pipeline/test_a.py ..sF.                [ 47%]'\n"
        "\t@cat end\n"
    )
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        f"sys.path.insert(0, {str(PROJECT)!r})\n"
        "from rehearsal import lanes\n"
        "from rocm_images import clock, telling\n"
        "clock.SECONDS = clock.DRAWN_SECONDS = 0.05\n"
        "draw = telling.standing\n"
        "def drawn(text):\n"
        "    found = draw(text)\n"
        "    if '47%' in text:\n"
        f"        Path({str(tmp_path / 'end')!r}).write_text('now')\n"
        "    return found\n"
        "telling.standing = drawn\n"
        f"sys.exit(lanes.run(['first'], ['make', '-C', {str(tmp_path)!r}]))\n"
    )
    told = on_a_terminal("-c", code, COLUMNS="100")
    assert "first: .venv/bin/pytest tests/pipeline tests/pipeline/test_a.py [ 47%]" in told
    assert "first: ended well" in told


def test_who_is_left_behind_and_a_make_that_is_none_hold_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "end")
    (tmp_path / "Makefile").write_text(
        "first second:\n\t@(echo left; timeout 60 cat end) & echo $@\n"
    )
    done = subprocess.run(
        [sys.executable, *words(tmp_path / "Makefile")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    # Both live on, with what they were given for their output, until somebody writes.
    assert done.returncode == 0
    (tmp_path / "end").write_text("now")
    none = [LANES, "first", "--", "/proc/no-such-program"]
    done = subprocess.run([sys.executable, *none], capture_output=True, text=True, check=False)
    assert done.returncode == 127
    assert done.stdout == "/proc/no-such-program cannot be started: No such file or directory\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_both(tmp_path: Path, number: signal.Signals) -> None:
    silent = [Silent(tmp_path, name) for name in ("first", "second")]
    for each in silent:
        # One process: make ends what it runs, and nothing that this has started.
        each.path.write_text(
            f"#!/bin/sh\nexec 3> {each.path}.pipe\necho begun >&3\nexec sleep 600\n"
        )
    (tmp_path / "Makefile").write_text(".PHONY: first second\nfirst second:\n\t@./$@\n")
    process = subprocess.Popen(
        [sys.executable, *words(tmp_path / "Makefile")],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    for each in silent:
        assert each.says() == "begun\n"
    if number == signal.SIGINT:
        # As a terminal does: to whoever is of the group.
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    assert process.wait(60) != 0
    for each in silent:
        assert each.says() == ""
        each.close()
