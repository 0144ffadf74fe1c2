"""How much is told while working: by -q failures and the answer, by -v also what was decided.

Nothing that is told here holds a credential: they are masked.
"""

from __future__ import annotations

import enum
import sys
from typing import Any

from rocm_images.foreign import shown as shown
from rocm_images.foreign import shown_line
from rocm_images.masking import masked
from rocm_images.places import INSTALLED

PROGRAM = "rocm-images" if INSTALLED else "build.py"
"""The installed command, or the file of a checkout."""
COMMAND = PROGRAM if INSTALLED else f"python {PROGRAM}"
"""What people type."""

LONGEST_QUOTATION = 200
"""Characters."""


class Shown:
    """A stream of this process on which no text of others acts: all that is printed comes here."""

    # click would go around a stream that says ASCII; what that has no character for is written out.
    encoding = "utf-8"

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text with its control characters written out."""
        self.stream.write(shown(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def for_colours(stream: Any) -> Any:
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


def set_volume(volume: Volume) -> None:
    """For the rest of this process, and for all of its threads."""
    global _volume
    _volume = volume


def volume() -> Volume:
    """As -q or -v set it."""
    return _volume


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
        print(masked(shown(text)), file=sys.stderr, flush=True)


def written(text: str) -> None:
    """A line on standard output beside the answer: a file that was written, say."""
    if _volume >= Volume.NORMAL:
        print(masked(shown(text)))


def decided(text: str) -> None:
    """A line on standard error, where -v asks for it: what was decided, and from what."""
    if _volume >= Volume.VERBOSE:
        failure(text)
