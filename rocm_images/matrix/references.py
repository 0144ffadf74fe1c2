"""Where the references of a matrix lead: an issue or a pull request of GitHub, or an address."""

from __future__ import annotations

import re

_ISSUE = re.compile(r"([\w.-]+/[\w.-]+)#(\d+)", re.ASCII)
_ADDRESS = re.compile(r"https://[\w./#?=&%~+-]+", re.ASCII)


def address_of(reference: str) -> str | None:
    """Where a reference leads; None where it names no place that can be linked to."""
    if issue := _ISSUE.fullmatch(reference):
        # GitHub leads from here to the pull request where it is one.
        return f"https://github.com/{issue[1]}/issues/{issue[2]}"
    return reference if _ADDRESS.fullmatch(reference) else None
