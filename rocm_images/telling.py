"""How much is told while working: by -q failures and the answer, by -v also what was decided.

Nothing that is told here holds a credential: they are masked.
"""

from __future__ import annotations

import enum
import os
import sys
import threading
import time
from contextlib import suppress
from typing import Any, TextIO

from rocm_images.foreign import shown as shown
from rocm_images.foreign import shown_line
from rocm_images.masking import masked
from rocm_images.places import INSTALLED

PROGRAM = "rocm-images" if INSTALLED else "build.py"
"""The installed command, or the file of a checkout."""
COMMAND = PROGRAM if INSTALLED else f"python {PROGRAM}"
"""What people type."""
REHEARSE = f"`{COMMAND} --rehearse`" if INSTALLED else "`make rehearse`"
"""What people type to try the pipeline without an engine of theirs."""

LONGEST_QUOTATION = 200
"""Characters."""


def counted(number: int, one: str) -> str:
    """How many there are of something that is called `one` where there is one."""
    return f"{number} {one}" if number == 1 else f"{number} {one}s"


class Shown:
    """A stream of this process on which no text of others acts: all that is printed comes here."""

    # click would go around a stream that says ASCII; what that has no character for is written out.
    encoding = "utf-8"

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self._terminal = stream.isatty()

    def write(self, text: str) -> int:
        """Write a text with its control characters written out, where no line stands any more."""
        _speaks()
        if not self._terminal:
            self.stream.write(shown(text))
            return len(text)
        with _drawing:
            _Standing.wipe()
            self.stream.write(shown(text))
            _Standing.within = not text.endswith("\n") if text else _Standing.within
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class _Standing:
    """The line that stands at a terminal until something else is written, or it is redrawn."""

    text = ""
    within = False
    """Whether a line of what is written has not ended yet."""
    stream: TextIO
    """That on which it stands."""

    @classmethod
    def wipe(cls) -> None:
        if cls.text:
            cls.text = ""
            cls.stream.write("\r\x1b[K")
            cls.stream.flush()


_drawing = threading.RLock()


def standing(text: str) -> bool:
    """Draw a line over the one that stands, or wipe that one by ""; whether that can be done."""
    if not isinstance(sys.stderr, Shown) or not sys.stderr.isatty():
        return False
    if _volume < Volume.NORMAL:
        return True
    width = columns()
    line = masked(shown_line(text))
    line = line if len(line) <= width else f"{line[: max(width - 3, 0)]}..."
    with _drawing:
        if line != _Standing.text and not _Standing.within:
            _Standing.wipe()
            if line:
                _Standing.text, _Standing.stream = line, sys.stderr.stream
                _Standing.stream.write(line)
                _Standing.stream.flush()
    return True


def columns() -> int:
    """Of the line that stands: standard error's terminal, as standard output may be a file.

    The last one is left out: in it some terminals begin another line.
    """
    asked = os.environ.get("COLUMNS", "")
    found = int(asked) if asked.isdecimal() else 0
    with suppress(OSError, ValueError):
        found = found or os.get_terminal_size(sys.stderr.fileno()).columns
    return max((found or 80) - 1, 1)


def for_colours(stream: TextIO) -> TextIO:
    """The stream itself, for a table of ours that is redrawn: its texts are to be shown first."""
    return stream.stream if isinstance(stream, Shown) else stream


class Volume(enum.IntEnum):
    """What is told beside failures and the answer that was asked for."""

    QUIET = 0
    """Nothing."""
    NORMAL = 1
    """What is being done, what was written, and warnings."""
    VERBOSE = 2
    """Also what was decided, and from what: files, engine, images."""


_volume = Volume.NORMAL
_spoken = time.monotonic()


def set_volume(volume: Volume) -> None:
    """For the rest of this process, and for all of its threads."""
    global _volume
    _volume = volume


def volume() -> Volume:
    """As -q or -v set it."""
    return _volume


def spoken() -> float:
    """When something was last told, as time.monotonic() has it; what stands does not count."""
    return _spoken


def begin() -> None:
    """Count silence from now on: before a command line nobody waits for a word of it."""
    _speaks()


def _speaks() -> None:
    global _spoken
    _spoken = time.monotonic()


def quoted(said: object) -> str:
    """Somebody else's words within a sentence: on one line, which has an end."""
    text = shown_line(str(said)[: LONGEST_QUOTATION + 1])
    return text if len(text) <= LONGEST_QUOTATION else f"{text[:LONGEST_QUOTATION]}..."


def failure(sentence: str) -> None:
    """A line on standard error, whatever was asked for."""
    print(f"{PROGRAM}: {masked(shown(sentence))}", file=sys.stderr, flush=True)


def step(text: str) -> None:
    """A line on standard error: what is being done, or a warning."""
    if _volume >= Volume.NORMAL:
        _speaks()
        print(masked(shown(text)), file=sys.stderr, flush=True)


def written(text: str) -> None:
    """A line on standard output beside the answer: a file that was written, say."""
    if _volume >= Volume.NORMAL:
        print(masked(shown(text)))


def decided(text: str) -> None:
    """A line on standard error, where -v asks for it: what was decided, and from what."""
    if _volume >= Volume.VERBOSE:
        failure(text)
