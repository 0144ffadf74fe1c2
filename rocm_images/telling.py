"""How much is told while working: by -q failures and the answer, by -v also what was decided.

Nothing that is told here holds a credential: they are masked.
"""

from __future__ import annotations

import enum
import sys

from rocm_images.masking import masked
from rocm_images.places import INSTALLED

PROGRAM = "rocm-images" if INSTALLED else "build.py"
"""The installed command, or the file of a checkout."""
COMMAND = PROGRAM if INSTALLED else f"python {PROGRAM}"
"""What people type."""

LONGEST_QUOTATION = 200
"""Characters."""


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


def shown(text: str) -> str:
    """A text in which somebody else's words are, as a terminal shows it and does not obey it.

    Escapes, other control characters and marks that turn the direction of writing are spelled out;
    line ends stay.
    """
    return "".join(one if one.isprintable() or one == "\n" else repr(one)[1:-1] for one in text)


def quoted(said: object) -> str:
    """Somebody else's words within a sentence: on one line, which has an end."""
    text = shown(str(said)[: LONGEST_QUOTATION + 1]).replace("\n", "\\n")
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
