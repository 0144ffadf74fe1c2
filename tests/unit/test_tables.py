"""Tables read well on a terminal of 80 columns, and are whole in a log."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PLAN = [sys.executable, "build.py", "plan"]


def on_a_terminal(columns: int) -> list[str]:
    """The lines of `plan` on a terminal of that width."""
    main, secondary = pty.openpty()
    fcntl.ioctl(secondary, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "DOCKER_HOST")}
    process = subprocess.Popen(PLAN, cwd=PROJECT, stdout=secondary, env=environment)
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


@pytest.mark.parametrize("columns", [80, 140])
def test_a_terminal_that_is_too_narrow_gets_a_block_for_each_cell(columns: int) -> None:
    lines = on_a_terminal(columns)
    assert max(map(len, lines)) <= 100
    assert lines[0] == "sglang-942-rocm7.2.0"
    assert "  GFX         gfx942" in lines
    assert sum(line.startswith("  BUILD ID    ") for line in lines) == sum(
        not line.startswith(" ") for line in lines
    )


def test_a_terminal_that_is_wide_enough_and_a_log_get_columns() -> None:
    done = subprocess.run(PLAN, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("CELL ")
    assert on_a_terminal(400) == done.stdout.splitlines()
