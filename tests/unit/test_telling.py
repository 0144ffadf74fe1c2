"""What is told does nothing to the terminal that shows it."""

from __future__ import annotations

import pytest

from rocm_images import telling


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
