"""What is said of a wait: for whom, for how long already, how far it is, in a line of a width."""

from __future__ import annotations

import sys

import pytest

from rocm_images.telling import PROGRAM
from rocm_images.waiting import Wait, duration, waiting_for
from told import Told, passes


def test_how_far_it_is_may_be_looked_up_and_may_fail(told: Told, now: list[float]) -> None:
    sizes = iter(["1 GB"])

    def size() -> str:
        for found in sizes:
            return found
        raise FileNotFoundError

    with waiting_for("cosign") as wait:
        wait.at(size)
        passes(now, 30)
        passes(now, 30)
    assert told.lines == [
        f"{PROGRAM}: waiting 30 s for cosign: 1 GB",
        f"{PROGRAM}: waiting 1 min 0 s for cosign",
    ]


def test_a_narrow_terminal_has_the_age_of_a_step_and_how_far_it_is(now: list[float]) -> None:
    words = "sglang-942-rocm7.2.2  push v0.5.21-rocm722-mi30x-rehearsal-3aaf64a6a180"
    wait = Wait("a cell", words=words)
    wait.at("12 of 32 layers, 210.4 MB, 31.2 MB/s")
    now[0] += 75
    line = wait.line(now[0], 79)
    assert len(line) == 79
    assert line == f"{words[:26]}..., 1 min 15 s: 12 of 32 layers, 210.4 MB, 31.2 MB/s"
    assert wait.line(now[0]).startswith(f"{words}, 1 min 15 s: 12 of")
    # So narrow that the end goes after all.
    assert wait.line(now[0], 20).startswith(f"{words[:13]}..., 1 min 15 s")


def test_each_step_of_a_wait_is_a_line_without_a_terminal(
    told: Told, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with waiting_for("a") as wait:
        wait.step("RUN one")
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        wait.step("RUN two")
        assert wait.line(now[0]) == f"{PROGRAM}: waiting for a: RUN two"
    assert told.lines == [f"{PROGRAM}: waiting for a: RUN one"]


def test_a_pause_before_the_next_attempt_is_counted_down_until_it_is_over(
    now: list[float],
) -> None:
    wait = Wait("a")
    wait.again(3, 6, "it is busy", 7.6)
    for passed, soon in ((0.0, " in 8 s"), (4.0, " in 4 s"), (3.0, "")):
        now[0] += passed
        assert wait.line(now[0]).endswith(f" for a: it is busy, attempt 3 of 6{soon}")
    wait.asks()
    assert wait.line(now[0]).endswith("waiting 7 s for a: it is busy, attempt 3 of 6")


def test_what_has_only_begun_has_no_age_yet(now: list[float]) -> None:
    wait = Wait("a")
    for passed, age in ((0.0, ""), (0.9, ""), (0.2, " 1 s")):
        now[0] += passed
        assert wait.line(now[0]) == f"{PROGRAM}: waiting{age} for a"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1.99, "1 s"),
        (59.9, "59 s"),
        (270, "4 min 30 s"),
        (3599, "59 min 59 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_a_duration_has_two_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words
