"""A run of build.py that a test interrupts, and of which nothing is left when the test fails."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from conftest import BUILD_PY

STOP_SECONDS = 180
"""Longer than a loaded machine takes to stop: build.py kills what is left after 10."""


@contextmanager
def started(
    *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """build.py, with its children; what still runs at the end of the block is killed."""
    process = subprocess.Popen(
        [*BUILD_PY, *arguments],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    # Also those that a build.py which does not do its work leaves to init.
    seen: set[int] = set()
    process.seen = seen
    try:
        yield process
    finally:
        ...
