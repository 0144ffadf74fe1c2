"""What is told does nothing to the terminal that shows it."""

from __future__ import annotations

import time

import pytest

from rocm_images import telling
from rocm_images.supervisor import supervisor
from terminals import on_a_terminal


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a sentence: 5 µs, é, 漢", "a sentence: 5 µs, é, 漢"),
        ("two\nlines", "two\nlines"),
        ("\x1b[2J\x1b]0;title\x07", "\\u001b[2J\\u001b]0;title\\u0007"),
        ("\x9b31m", "\\u009b31m"),
        ("over\rwritten\b\t", "over\\u000dwritten\\u0008\t"),
        ("a\u202egnp.exe", "a\\u202egnp.exe"),
        ("half \ud800", "half \\ud800"),
    ],
)
def test_control_characters_are_shown_and_not_obeyed(
    text: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert telling.shown(text) == shown
    telling.set_volume(telling.Volume.NORMAL)
    for tell in (telling.failure, telling.step, telling.written):
        tell(text)
    assert "".join(capsys.readouterr()).count(f"{shown}\n") == 3


def test_silence_before_a_command_line_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(telling, "_spoken", now - 3600)
    supervisor.begin()
    assert telling.spoken() >= now


_AT_A_TERMINAL = """
import sys, threading
from rocm_images import telling
sys.stdout, sys.stderr = telling.Shown(sys.stdout), telling.Shown(sys.stderr)
telling.standing('waiting 2 s for https://u:secret@a.org/')
telling.standing('waiting 3 s\\x1b[31m')
telling.step('a line')
telling.standing('again')
print('an answer')
sys.stdout.write('half')
sys.stdout.flush()
telling.standing('not in the middle')
print(' a line')
telling.standing('x' * 500)
telling.standing('')
telling.set_volume(telling.Volume.QUIET)
assert telling.standing('nothing')
"""


def test_a_line_stands_at_a_terminal_until_something_else_is_written() -> None:
    told = on_a_terminal("-c", _AT_A_TERMINAL, COLUMNS="40")
    wipe = "\r\x1b[K"
    assert told.replace("\r\n", "\n") == (
        f"waiting 2 s for https://***@a.org/{wipe}"
        f"waiting 3 s\\u001b[31m{wipe}a line\n"
        f"again{wipe}an answer\n"
        f"half a line\n{'x' * 36}...{wipe}"
    )


def test_no_line_stands_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert not telling.standing("waiting")
    assert capsys.readouterr() == ("", "")
