"""What every cell does, with the age of its step: as a table that is redrawn, or as lines."""

from __future__ import annotations

import io

import pytest

from rocm_images import telling, waiting
from rocm_images.build import progress
from rocm_images.build.progress import LiveTable, PlainLines
from rocm_images.waiting import waiting_for
from told import Told, passes


@pytest.fixture
def now(now: list[float], monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which only the test changes; the table shows the clock of the test, too."""
    monkeypatch.setattr(progress, "clock", waiting.clock)
    return now


@pytest.fixture
def table(now: list[float]) -> LiveTable:
    return LiveTable(["a", "b"])


def shown(table: LiveTable, width: int = 80) -> list[list[str]]:
    """The words of each line, columns apart."""
    from rich.console import Console

    stream = io.StringIO()
    Console(file=stream, width=width).print(table._table())
    return [
        [word.strip() for word in line.split("  ") if word.strip()]
        for line in stream.getvalue().splitlines()
    ]


def test_the_table_has_the_age_of_the_step_beside_the_cells(
    table: LiveTable, now: list[float]
) -> None:
    now[0] += 50
    table.step("a", "[stage 1/2] RUN one")
    now[0] += 60
    table.step("a", "smoke test", "0 of 45")
    now[0] += 12
    table.step("a", "smoke test", "12 of 45")
    now[0] += 1
    assert shown(table)[1:] == [
        ["a", "smoke test: 12 of 45", "13 s", "1 min 13 s"],
        ["b", "waiting"],
    ]
    table.done("a", "done")
    now[0] += 100
    assert shown(table)[1] == ["a", "done", "1 min 13 s"]


def test_how_far_a_step_is_stays_where_its_name_is_long(table: LiveTable, now: list[float]) -> None:
    far = "12 of 32 layers, 210.4 MB, 31.2 MB/s"
    table.step("a", f"pull registry.example.org/some/image@sha256:{'1' * 64}", far)
    assert shown(table)[1] == ["a", f"pull registry...: {far}", "0 s", "0 s"]


def test_below_the_table_stands_what_else_is_waited_for_and_nothing_is_drawn_beside_it(
    table: LiveTable, now: list[float], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with waiting_for("a registry"):
        now[0] += 5
        with table:
            assert shown(table)[-1] == [f"{telling.PROGRAM}: waiting 5 s for a registry"]
            waiting.clock.look(now[0])
            assert told.drawn == []
        waiting.clock.look(now[0])
        assert told.drawn == [f"{telling.PROGRAM}: waiting a moment for a registry"]


@pytest.mark.parametrize("width", [80, 140])
def test_no_line_of_it_is_wider_than_the_terminal(
    table: LiveTable, now: list[float], width: int
) -> None:
    table.step("a", "[stage 1/2] RUN " + "long " * 40, "3 of 12 layers")
    with waiting_for("long " * 40):
        now[0] += 7200
        lines = shown(table, width)
    # The cells, the heading and who is waited for: nothing has folded.
    assert len(lines) == 4
    assert lines[1][-2:] == ["2 h 0 min", "2 h 0 min"]


def test_a_step_that_goes_on_is_said_again_with_its_age_and_how_far_it_is(
    now: list[float], told: Told
) -> None:
    with PlainLines() as lines:
        lines.step("a", "push v1")
        lines.step("b", "sign")
        passes(now, 20)
        lines.step("a", "push v1", "3 of 12 layers")
        lines.step("b", "read back")
        passes(now, 10)
        passes(now, 20)
        lines.done("a", "pushed")
        passes(now, 100)
    assert told.lines == [
        "a  push v1",
        "b  sign",
        "b  read back",
        "a  push v1, 30 s: 3 of 12 layers",
        "b  read back, 30 s",
        "a  => pushed",
        "b  read back, 2 min 10 s",
    ]
    passes(now, 100)
    assert len(told.lines) == 7
