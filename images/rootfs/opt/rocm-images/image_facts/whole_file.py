"""Writes a file whole or not at all: the one writer of the programs in an image."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a text file; a reader sees the whole of the old one or the whole of the new one.

    It outlives a power cut. A pipe or a device is written to as it is.

    Raises:
        OSError: it cannot be written; what was there before is as it was.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as file:
            file.write(text.encode())
        return
    # A name of its own: two programs at once must not write into each other's file.
    number, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(number)
        # mkstemp lets nobody else read it, and whoever started the container is somebody else.
        Path(partial).chmod(0o644)
        Path(partial).replace(path)
    finally:
        with suppress(FileNotFoundError):
            Path(partial).unlink()
