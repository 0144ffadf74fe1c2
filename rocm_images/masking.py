"""Masks credentials in whatever is told, logged or written, and bounds the lines that are.

Children, registries and servers print addresses as they were given them, password and all; what
this program passes on of them goes into logs, summaries and evidence that others read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import IO, Any

LONGEST_LINE = 64 * 1024
"""Characters of a line that are kept and matched; nobody reads more, and a line may never end."""
_CUT = " ... (cut)"
_MASK = "***"
# A user alone is no secret where ssh asks with a key. What docker-image:// and oci-layout:// name
# has an @ before its digest. A password may hold an @, and even a / that should be %2F; then what
# is before it is no port.
_USER = re.compile(
    r"(?<=://)(?:[^/\s'\"<>:@]{0,255}:(?!\d+/)[^\s'\"<>]{0,4096}"
    r"|(?<!ssh://)[^/\s'\"<>]{1,4096})@(?!sha(?:256|512):)"
)
_NAMES = (
    r"(?:access|auth|id|job|private|refresh|security)?[_-]?token|api[_-]?key|passw(?:or)?d|secret"
    r"|sig(?:nature)?|x-(?:amz|goog)-(?:signature|credential|security-token)"
)
_QUERY = re.compile(rf"([?&](?:{_NAMES})=)[^&\s'\"#<>]+", re.IGNORECASE)
_HEADER = re.compile(r"(authorization:\s*(?:basic|bearer|token)\s+)[^\s'\"]+", re.IGNORECASE)
# What a cut leaves of an address: whether it goes on with a password nobody knows.
_UNFINISHED = re.compile(
    r"(?<=://)(?:[^/\s'\"<>:@]{0,255}:(?!\d+/)[^\s'\"<>]{0,4096}|[^/\s'\"<>]{0,4096})$"
)


def masked(text: str) -> str:
    """The text with `***` for each user, password and token in an address or a header."""
    if "://" in text:
        text = _USER.sub(f"{_MASK}@", text)
    if "=" in text:
        text = _QUERY.sub(rf"\1{_MASK}", text)
    return _HEADER.sub(rf"\1{_MASK}", text) if "uthorization" in text.lower() else text


def masked_document(value: object) -> Any:
    """The same for every text of a JSON document."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {name: masked_document(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked_document(inner) for inner in value]
    return value


def cut_off(text: str) -> str:
    """The beginning of a line whose rest is dropped: masked, with what it was cut in."""
    return masked(_UNFINISHED.sub(_MASK, text)) + _CUT


def lines_of(output: IO[str]) -> Iterator[str]:
    """What a child prints, line by line without their ends: masked, and cut at `LONGEST_LINE`.

    No line takes more memory than that, be it endless.
    """
    while line := output.readline(LONGEST_LINE + 1):
        if len(line) <= LONGEST_LINE or line.endswith("\n"):
            yield masked(line.rstrip("\n"))
            continue
        while (rest := output.readline(LONGEST_LINE)) and not rest.endswith("\n"):
            pass
        yield cut_off(line[:LONGEST_LINE])
