"""Lays rows of text out in columns, for terminals and logs alike, and sizes in words."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

from rocm_images.foreign import shown_line


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns, two spaces apart; no line is cut, so that any text can be copied.

    On a terminal that is too narrow for them each row is a block of lines. A log has no width.
    """
    table = [list(header), *([shown_line(text) for text in row] for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(header))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    ]
    longest = max(map(len, lines))
    if not sys.stdout.isatty() or longest <= shutil.get_terminal_size().columns:
        return "\n".join(lines)
    names = max(map(len, header))
    return "\n".join(
        "\n  ".join(
            [
                row[0],
                *(f"{h.ljust(names)}  {x}" for h, x in zip(header[1:], row[1:], strict=True) if x),
            ]
        )
        for row in table[1:]
    )


def bytes_in_words(size: int) -> str:
    """A size in the unit in which it is readable, decimal as registries have it."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"
