"""Tables read well on a terminal of 80 columns, and are whole in a log."""

from __future__ import annotations

import fcntl
import functools
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path

import pytest

from rocm_images.tables import Column, room, text_table

PROJECT = Path(__file__).resolve().parents[2]
HEADER = (
    "CELL",
    Column.detail("BASE"),
    Column.words("STATE"),
    Column.number("SIZE"),
)
ROWS = (
    ("sglang-942-rocm7.2.0", "rocm/pytorch:rocm7.2_py3.10", "to build (no image yet)", "5 MB"),
    ("sglang-942-rocm7.2.2", "ubuntu:24.04", "up to date", "1.2 GB"),
)


def on_a_terminal(columns: int, *words: str) -> list[str]:
    """The lines of a verb on a terminal of that width."""
    main, secondary = pty.openpty()
    fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "DOCKER_HOST")}
    command = [sys.executable, "build.py", *words]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=secondary, env=environment)
    os.close(secondary)
    said = b""
    while True:
        try:
            read = os.read(main, 65536)
        except OSError:  # the other end is closed
            break
        if not read:
            break
        said += read
    os.close(main)
    assert process.wait(60) == 0
    return said.decode().splitlines()


@functools.cache
def logged(*words: str) -> str:
    """The same where standard output is no terminal."""
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "DOCKER_HOST")}
    command = [sys.executable, "build.py", *words]
    return subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True
    ).stdout


def table(
    columns: int | None,
    monkeypatch: pytest.MonkeyPatch,
    header: Sequence[Column | str] = HEADER,
    rows: Sequence[Sequence[str]] = ROWS,
) -> list[str]:
    monkeypatch.setattr("rocm_images.tables.room", lambda: columns)
    lines = text_table(header, rows, elsewhere="--json has all").splitlines()
    assert columns is None or max(map(len, lines)) <= columns
    return lines


@pytest.mark.parametrize(("columns", "left_out"), [(80, "BASE, ADVISORY, BUILD ID"), (140, "BASE")])
def test_a_plan_follows_the_terminal_and_breaks_no_name(columns: int, left_out: str) -> None:
    lines = on_a_terminal(columns, "plan", "--server", "all")
    assert max(map(len, lines)) <= columns
    heading, *rows = logged("plan", "--server", "all").splitlines()
    tags = slice(heading.index("TAGS"), heading.index("ALL-REDUCE"))
    names = {name for row in rows for name in (row.split()[0], *row[tags].split())}
    assert names <= {word for line in lines for word in line.split()}
    assert f"no room here for {left_out}: --json has all" in lines


@pytest.mark.parametrize("columns", [80, 140])
def test_an_explanation_follows_the_terminal_up_to_where_it_is_read_well(columns: int) -> None:
    lines = on_a_terminal(columns, "explain", "sglang-942-rocm7.2.0")
    longer = [line.strip() for line in lines if len(line) > min(columns, 100)]
    # An address is whole, and alone on its line.
    assert [line for line in longer if " " in line or "https://" not in line] == []
    addresses = {word for word in logged("explain", "sglang-942-rocm7.2.0").split() if "//" in word}
    assert addresses <= {word for line in lines for word in line.split()}


def test_a_log_is_whole_unless_it_is_said_how_wide_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert room() is None
    for nonsense in ("", "wide", "0", "-1"):
        monkeypatch.setenv("COLUMNS", nonsense)
        assert room() is None
    monkeypatch.setenv("COLUMNS", "80")
    assert room() == 80


def test_numbers_end_where_their_heading_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    heading, *rows = table(None, monkeypatch)
    assert [row.endswith(size) for row, size in zip(rows, ("  5 MB", "1.2 GB"), strict=True)]
    assert {len(line) for line in (heading, *rows)} == {len(heading)}


def test_words_wrap_first_then_extras_are_left_out_and_then_there_are_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = table(None, monkeypatch)
    wide = len(whole[0])
    assert table(wide, monkeypatch) == whole
    header = (*HEADER[:2], Column.words("STATE, WHICH IS TOLD AT LENGTH"), HEADER[3])
    long = [(*row[:2], f"{row[2]} and so on and so forth", row[3]) for row in ROWS]
    wrapped = table(100, monkeypatch, header, long)
    assert "BASE" in wrapped[0]
    assert len(wrapped) > 1 + len(long)
    narrower = table(wide - 1, monkeypatch)
    assert narrower[0].split() == ["CELL", "STATE", "SIZE"]
    assert narrower[-1] == "no room here for BASE: --json has all"
    assert table(37, monkeypatch)[:5] == [
        "CELL     sglang-942-rocm7.2.0",
        "  BASE   rocm/pytorch:rocm7.2_py3.10",
        "  STATE  to build (no image yet)",
        "  SIZE   5 MB",
        "CELL     sglang-942-rocm7.2.2",
    ]


def test_a_value_may_end_anywhere_and_a_name_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    path = ":".join(f"/opt/{number}/bin" for number in range(20))
    header = ("NAME", Column.value("WAS"), Column.value("IS NOW"))
    lines = table(80, monkeypatch, header, [("PATH", path, f"{path}:/x")])
    assert lines[0].split() == ["NAME", "WAS", "IS", "NOW"]
    start = lines[0].index("WAS"), lines[0].index("IS NOW")
    assert "".join(line[start[0] : start[1]].strip() for line in lines[1:]) == path
    assert "".join(line[start[1] :].strip() for line in lines[1:]) == f"{path}:/x"
    monkeypatch.setattr("rocm_images.tables.room", lambda: 80)
    assert path in text_table(("NAME", "WAS"), [("PATH", path)])


def test_the_last_extras_go_first_and_come_back_where_a_wide_one_made_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    header = ("CELL", *(Column.detail(title) for title in ("TAG", "BASE", "ID")))
    rows = [("c" * 20, "t" * 10, "b" * 40, "i" * 5)]

    def shown(columns: int) -> str:
        return " ".join(table(columns, monkeypatch, header, rows)[0].split())

    assert shown(81) == "CELL TAG BASE ID"
    assert shown(80) == "CELL TAG BASE"
    assert shown(70) == "CELL TAG ID"
    assert shown(38) == "CELL TAG"
