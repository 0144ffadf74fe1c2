"""The smoke test is told test by test, of how many."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from made_up_engine import made_up_engine
from rocm_images.smoke import run

_TESTS = """
import pytest

@pytest.mark.parametrize("what", ["a b", "https://u:secret@example.org/"])
def test_one(what):
    print("a.py::test_of_another PASSED [ 7/9]")

def test_two():
    raise OSError

@pytest.fixture
def broken():
    raise ValueError

def test_three_whose_name_is_so_long_that_it_fills_a_line_of_eighty_columns_and_more(broken):
    pass
"""


def test_each_test_that_has_ended_is_told_with_how_many_there_are(tmp_path: Path) -> None:
    path, log = tmp_path / "test_a.py", tmp_path / "log"
    path.write_text(_TESTS)
    words = [sys.executable, "-m", "pytest", str(path), "-p", "no:cacheprovider", *run._COUNTED]
    told: list[str] = []
    with made_up_engine(tmp_path / "engine.sock") as engine:
        engine.answers["GET /containers/json"] = lambda _: (200, [])
        on_step = lambda step, far="": told.append(f"{step}: {far}")  # noqa: E731
        assert run._exit_status(engine.engine, words, log, 60, on_step) == 1
    assert told == [
        "smoke test: 0 of 4",
        "smoke test: 1 of 4, after test_one[a b]",
        "smoke test: 2 of 4, after test_one[https://***@example.org/]",
        "smoke test: 3 of 4, after test_two",
        "smoke test: 4 of 4, after "
        "test_three_whose_name_is_so_long_that_it_fills_a_line_of_eighty_columns_and_more",
    ]
    assert "OSError" in log.read_text()


@pytest.mark.parametrize(
    "line",
    [
        "",
        "FAILED a.py::test_one - OSError",
        "a.py::test_one PASSED",
        "collected 5 items",
        "x [1/2]",
    ],
)
def test_what_is_no_line_of_a_test_tells_nothing(line: str) -> None:
    assert run._how_far(line) == ""
