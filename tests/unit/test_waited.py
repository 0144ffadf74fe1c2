"""`make environment` says what it waits for; what its commands end in is what it ends in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from made_up_programs import Silent
from terminals import PROJECT, on_a_terminal

WORDS = ("-m", "rocm_images.waited", "a program")


def ended(*command: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, *WORDS, *command]
    return subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("script", "code", "said"),
    [
        ("echo Collecting a", 0, ""),
        ("echo Collecting a; echo WARNING: b >&2", 0, "WARNING: b\n"),
        ("echo Collecting a; echo ERROR: b >&2; exit 3", 3, "ERROR: b\n"),
        ("echo a; exit 1", 1, "a\n"),
        ("kill -9 $$", 137, ""),
    ],
)
def test_only_its_complaints_are_shown_and_its_code_is_kept(
    script: str, code: int, said: str
) -> None:
    answer = ended("sh", "-c", script)
    assert (answer.returncode, answer.stdout, answer.stderr) == (code, "", said)


def test_a_program_that_is_not_there_is_a_sentence() -> None:
    answer = ended("/proc/no-such-program")
    assert answer.returncode == 127
    assert answer.stderr.endswith(
        "/proc/no-such-program cannot be started: No such file or directory\n"
    )


def test_at_a_terminal_its_last_line_stands_with_the_time_so_far(tmp_path: Path) -> None:
    # It ends once it has been shown: whoever draws it writes to a pipe that it reads.
    os.mkfifo(tmp_path / "end")
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from rocm_images import clock, telling, waited\n"
        "clock.SECONDS = clock.DRAWN_SECONDS = 0.05\n"
        "draw = telling.standing\n"
        "def drawn(text):\n"
        "    found = draw(text)\n"
        "    if 'Collecting' in text:\n"
        f"        Path({str(tmp_path / 'end')!r}).write_text('now')\n"
        "    return found\n"
        "telling.standing = drawn\n"
        f"sys.exit(waited.run('pip', ['sh', '-c', 'echo Collecting a; cat {tmp_path}/end']))\n"
    )
    assert "waiting for pip: Collecting a" in on_a_terminal("-c", code, COLUMNS="80")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_and_its_command(tmp_path: Path, number: signal.Signals) -> None:
    silent = Silent(tmp_path, "silent")
    process = subprocess.Popen([sys.executable, *WORDS, silent.path], cwd=PROJECT)
    assert silent.says() == "begun\n"
    process.send_signal(number)
    assert process.wait(60) == 128 + number
    assert silent.says() == ""
    silent.close()
