"""The digest that names an image, a manifest or a layer by its content, and how it is shown."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

PATTERN = r"sha256:[0-9a-f]{64}"
Digest = Annotated[str, StringConstraints(pattern=f"^{PATTERN}$")]


def short(digest: str) -> str:
    """The first 12 hex digits, as Docker shows them too."""
    return digest.removeprefix("sha256:")[:12]
