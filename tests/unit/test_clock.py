"""Whoever is waited for is named, with the time: after two seconds at a terminal, else after 30."""

from __future__ import annotations

import sys

import pytest

from rocm_images import clock, telling, waiting
from rocm_images import supervisor as supervising
from rocm_images.clock import Clock
from rocm_images.telling import PROGRAM, Volume
from rocm_images.waiting import waiting_for
from told import Told, hasty_terminal, passes


def test_without_a_terminal_a_line_every_half_minute_says_for_how_long_already(
    told: Told, now: list[float]
) -> None:
    with waiting_for("mmdebstrap") as wait:
        for _ in range(29 * 10):
            passes(now, 0.1)
        assert told.lines == []
        wait.at("I: extracting archives")
        passes(now, 1.1)
        passes(now, 29)
        passes(now, 1)
    assert told.lines == [
        f"{PROGRAM}: waiting {age} for mmdebstrap: I: extracting archives"
        for age in ("30 s", "1 min 0 s")
    ]
    passes(now, 100)
    assert len(told.lines) == 2


def test_at_a_terminal_a_line_is_redrawn_from_two_seconds_on(
    told: Told, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    drawn: list[str] = []
    monkeypatch.setattr(telling, "standing", lambda text: drawn.append(text) or True)
    with waiting_for("a"):
        passes(now, 1.4)
        with waiting_for("b"):
            for _ in range(3):
                passes(now, 1.0)
    assert [line for line in drawn if line] == [
        f"{PROGRAM}: waiting 2 s for a",
        f"{PROGRAM}: waiting 3 s for a; and 1 more",
        f"{PROGRAM}: waiting 4 s for a; and 1 more",
    ]
    # Nothing stands once nobody is waited for.
    assert drawn[-1] == ""
    assert told.lines == []


def test_a_terminal_that_cannot_redraw_has_lines(
    told: Told, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    with waiting_for("a"):
        for _ in range(65):
            passes(now, 0.5)
    assert told.lines == [f"{PROGRAM}: waiting {age} s for a" for age in (1, 31)]


def test_questions_that_follow_one_another_are_one_wait(told: Told, now: list[float]) -> None:
    for _ in range(100):
        with waiting_for("a"):
            passes(now, 0.3)
        now[0] += 0.1
    assert told.lines == [f"{PROGRAM}: waiting 30 s for a"]
    now[0] += 1
    with waiting_for("a"):
        passes(now, 29)
    assert len(told.lines) == 1


def test_many_short_waits_without_a_word_are_no_silence(
    told: Told, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    told.spoken = now[0]
    for number in range(12):
        with waiting_for(f"package {number}"):
            passes(now, 7)
    assert told.lines == [f"{PROGRAM}: waiting 7 s for package {number}" for number in (4, 9)]
    hasty_terminal(monkeypatch)
    monkeypatch.setattr(clock, "SECONDS", 2.0)
    told.spoken = now[0]
    for letter in "abc":
        with waiting_for(letter):
            passes(now, 0.9)
    assert told.drawn == [f"{PROGRAM}: waiting a moment for c"]


def test_two_that_wait_for_the_same_are_one_line(told: Told, now: list[float]) -> None:
    with waiting_for("a"):
        passes(now, 20)
        with waiting_for("a"):
            passes(now, 10)
        passes(now, 29)
    assert told.lines == [f"{PROGRAM}: waiting 30 s for a"]


def test_an_engines_call_is_said_only_where_nothing_else_is(told: Told, now: list[float]) -> None:
    with waiting_for("the engine", otherwise=True):
        with waiting_for("a"):
            passes(now, 30)
        passes(now, 1)
    assert told.lines == [
        f"{PROGRAM}: waiting 30 s for a",
        f"{PROGRAM}: waiting 31 s for the engine",
    ]


@pytest.mark.parametrize("quiet", [True, False])
def test_a_run_that_is_being_stopped_or_is_quiet_says_nothing_more(
    told: Told, now: list[float], monkeypatch: pytest.MonkeyPatch, quiet: bool
) -> None:
    with waiting_for("a"):
        passes(now, 30)
        assert len(told.lines) == 1
        if quiet:
            monkeypatch.setattr(telling, "_volume", Volume.QUIET)
        else:
            supervising.supervisor.stop()
            assert supervising.clock.hushed
            waiting.clock.hushed = True
        passes(now, 30)
        assert len(told.lines) == 1
    supervising.supervisor.begin()
    assert not supervising.clock.hushed


def test_the_same_is_told_again_later(told: Told, now: list[float]) -> None:
    for moment, lines in ((0.0, 1), (clock.AGAIN_SECONDS - 1, 1), (1.0, 2)):
        now[0] += moment
        with waiting_for("elsewhere.example.org") as wait:
            wait.again(2, 2, "it is busy")
        assert len(told.lines) == lines


def test_q_keeps_it_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(telling, "_volume", Volume.QUIET)
    for volume, lines in ((Volume.QUIET, 0), (Volume.NORMAL, 1)):
        telling.set_volume(volume)
        monkeypatch.setattr(waiting, "clock", Clock())
        with waiting_for("elsewhere.example.org") as wait:
            wait.again(2, 2, "it is busy")
        assert capsys.readouterr().err.count("waiting for elsewhere.example.org") == lines
