"""What others wrote: read without being overwhelmed by it, shown without obeying it.

The pipeline reads with it as well (rocm_images/foreign.py). A file says nothing of how much it
holds: a sparse one has a gigabyte in no space, a device has no end, a list of empty lists needs
thirty times its own size as Python's objects.
"""

from __future__ import annotations

import json
import math
import os
import re
from itertools import accumulate
from pathlib import Path
from typing import Any, NoReturn

MOST_BYTES = 32 * 1024 * 1024
MOST_VALUES = 1_000_000
MOST_LEVELS = 100
# C0 but line ends and tabs, C1, what turns the direction of a text, and what is no character.
_ACTS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_STRUCTURE = (",", ":", "[", "{")
# Once nothing is escaped any more. A string that never ends goes to the end: looked for once.
_NO_BRACKETS = re.compile(r'"[^"]*"?|[^"\[\]{}]+')


def content_of(path: Path, most: int = MOST_BYTES) -> bytes:
    """What a file holds, which may be a pipe that somebody writes to.

    Raises:
        OSError: it cannot be read.
        ValueError: it has more than `most` bytes.
    """
    # A pipe that nobody writes to has no content, instead of none yet.
    number = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    os.set_blocking(number, True)
    with os.fdopen(number, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {_mebibytes(most)}")
    return content


def parsed(content: bytes | str) -> Any:
    """What JSON says: no deeper, larger or odder than what can be worked with and written again.

    Raises:
        ValueError: it is none, or holds what JSON has no word for; the text says which.
    """
    if isinstance(content, bytes):
        content = content.decode("utf-8-sig")
    if sum(map(content.count, _STRUCTURE)) > MOST_VALUES:
        raise ValueError(f"it has more than {MOST_VALUES} values")
    _check_levels(content)
    found = json.loads(content, parse_constant=_no_number, parse_float=_number)
    # Half of a surrogate pair can be escaped in JSON, and written nowhere.
    if "\\u" in content:
        json.dumps(found, ensure_ascii=False).encode()
    return found


def document_of(path: Path, most: int = MOST_BYTES) -> Any:
    """The JSON document in a file; see `content_of` and `parsed`."""
    return parsed(content_of(path, most))


def shown(text: str) -> str:
    r"""The same text with what would act on a terminal written out, as \u001b."""
    return _ACTS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def shown_line(text: str) -> str:
    """The same on one line, where the ends of lines would act as well."""
    return shown(text).replace("\n", "\\n")


def _check_levels(content: str) -> None:
    # Counted before it is parsed: the parser recurses, and what the garbage collector finalizes at
    # the bottom of a full stack fails there, whoever's it is.
    if content.count("[") + content.count("{") <= MOST_LEVELS:
        return
    brackets = _NO_BRACKETS.sub("", content.replace("\\\\", "").replace('\\"', ""))
    steps = (1 if bracket in "[{" else -1 for bracket in brackets)
    if max(accumulate(steps), default=0) > MOST_LEVELS:
        raise ValueError(f"it is more than {MOST_LEVELS} levels deep")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON's")


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is larger than any number here")
    return number


def _mebibytes(size: int) -> str:
    return f"{size >> 20} MiB" if size >= 1 << 20 else f"{size} bytes"
