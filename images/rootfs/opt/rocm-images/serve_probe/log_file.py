"""Reads a log that may have no end: its beginning and its end, never more."""

from __future__ import annotations

import os
from collections import deque
from typing import BinaryIO

MOST_BYTES = 16 * 1024 * 1024
"""Of the beginning, and of the end."""
_PIECE = 1024 * 1024


def read_log(file: BinaryIO) -> str:
    """The text of a file or of a pipe; of an endless one its beginning and its end.

    What is no UTF-8 is replaced.

    Raises:
        OSError: it cannot be read.
    """
    begin = file.read(MOST_BYTES)
    if file.seekable():
        file.seek(max(file.seek(0, os.SEEK_END) - MOST_BYTES, len(begin)))
        return (begin + file.read(MOST_BYTES)).decode(errors="replace")
    pieces: deque[bytes] = deque()
    held = 0
    while piece := file.read(_PIECE):
        pieces.append(piece)
        held += len(piece)
        while held - len(pieces[0]) >= MOST_BYTES:
            held -= len(pieces.popleft())
    end = b"".join(pieces)[-MOST_BYTES:]
    return (begin + end).decode(errors="replace")
