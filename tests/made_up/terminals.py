"""A terminal of a test, and what it gets of a command."""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def on_a_terminal(*words: str, **environment: str) -> str:
    """What a terminal gets of a command."""
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=PROJECT,
        env={**os.environ, "TERM": "xterm", **environment},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    found = b""
    # Linux answers EIO once nobody has the other end.
    with contextlib.suppress(OSError):
        while more := os.read(master, 65536):
            found += more
    os.close(master)
    process.wait()
    return found.decode()
