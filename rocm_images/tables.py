"""Lays rows of text out in columns as wide as a terminal, whole in a log, and sizes in words.

Where there is too little room words wrap, then what is said elsewhere is left out, and only then
is each row a block of lines. A name (a cell, a tag, an id) is never broken: it is there to be
copied.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rocm_images.foreign import shown_line
from rocm_images.telling import counted

_GAP = 2
_LEGIBLE, _LEAST = 24, 8
"""Columns that words have at least, where they are not shorter: as long as something else can be
left out for them, and where nothing can."""
LEGIBLE_LINE = 100
"""Columns up to which a paragraph is read well."""


@dataclass(frozen=True)
class Column:
    """One column: what stands above it, and what may become of its texts."""

    title: str
    wraps: bool = False
    """Words, between which a line may end."""
    breaks: bool = False
    """A value that is compared rather than copied: a line may end anywhere in it."""
    extra: bool = False
    """Left out where there is no room for all: it is said elsewhere, too."""
    right: bool = False
    """A number."""

    @classmethod
    def words(cls, title: str, *, extra: bool = False) -> Column:
        """Of words, or of names with spaces between them."""
        return cls(title, wraps=True, extra=extra)

    @classmethod
    def value(cls, title: str) -> Column:
        """Of texts that may end anywhere."""
        return cls(title, wraps=True, breaks=True)

    @classmethod
    def number(cls, title: str, *, extra: bool = False) -> Column:
        """Of numbers."""
        return cls(title, extra=extra, right=True)

    @classmethod
    def detail(cls, title: str) -> Column:
        """Of names that are said elsewhere, too."""
        return cls(title, extra=True)

    def lines(self, text: str, width: int) -> list[str]:
        """A text as it stands in this column."""
        if not self.wraps or len(text) <= width:
            return [text]
        return textwrap.wrap(text, width, break_long_words=self.breaks, break_on_hyphens=False) or [
            ""
        ]

    def placed(self, text: str, width: int) -> str:
        """One line of it, filled up."""
        return text.rjust(width) if self.right else text.ljust(width)


def room() -> int | None:
    """The columns of standard output: those of COLUMNS, or of the terminal; None: it has no end."""
    asked = os.environ.get("COLUMNS", "")
    if asked.isdecimal() and int(asked):
        return int(asked)
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def text_table(
    header: Sequence[Column | str], rows: Sequence[Sequence[str]], *, elsewhere: str = ""
) -> str:
    """Columns two spaces apart.

    Args:
        header: a column that is a text is one of names.
        rows: their texts, each on one line.
        elsewhere: what has the extra columns, in words: it is said where one is left out.
    """
    columns = [one if isinstance(one, Column) else Column(one) for one in header]
    texts = [[shown_line(text) for text in row] for row in rows]
    width = room()
    full = _full_widths(columns, texts)
    if width is None or _sum(full) <= width:
        return _in_columns(columns, texts, full)
    kept = _kept(columns, texts, width)
    if kept is None:
        return _in_blocks(columns, texts, width)
    chosen, widths = kept
    rows_of_them = [[row[n] for n in chosen] for row in texts]
    table = _in_columns([columns[n] for n in chosen], rows_of_them, widths)
    left_out = [column.title for n, column in enumerate(columns) if n not in chosen]
    if left_out and elsewhere:
        table += "\n" + filled(f"no room here for {', '.join(left_out)}: {elsewhere}", width)
    return table


def _kept(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], room: int
) -> tuple[list[int], list[int]] | None:
    """Which columns there is room for, and their widths; None: not even for those that must be."""

    def fitted(chosen: Sequence[int], legible: int) -> list[int] | None:
        of_them = [[row[n] for n in chosen] for row in rows]
        return _fitted([columns[n] for n in chosen], of_them, room, legible)

    kept = list(range(len(columns)))
    extras = [n for n in kept if columns[n].extra]
    gone = []
    # The first that are left out are the last: columns stand in the order of what they matter.
    while not (widths := fitted(kept, _LEGIBLE if extras else _LEAST)):
        if not extras:
            return None
        gone.append(extras.pop())
        kept.remove(gone[-1])
    # A wide one among them made room for others.
    for n in reversed(gone[:-1]):
        if more := fitted(sorted([*kept, n]), _LEGIBLE):
            kept, widths = sorted([*kept, n]), more
    return kept, widths


def _sum(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _full_widths(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(len, (c.title, *(r[n] for r in rows)))) for n, c in enumerate(columns)]


def _fitted(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], room: int, legible: int
) -> list[int] | None:
    """Widths with which the columns fit, or None: those that wrap share what the others leave."""
    full = _full_widths(columns, rows)
    least = [
        _least(column, [row[n] for row in rows], min(full[n], legible)) if column.wraps else full[n]
        for n, column in enumerate(columns)
    ]
    for most in range(max(full), 0, -1):
        widths = [max(min(f, most), m) for f, m in zip(full, least, strict=True)]
        if _sum(widths) <= room:
            return widths
    return None


def _least(column: Column, texts: Sequence[str], legible: int) -> int:
    words = [] if column.breaks else [word for text in texts for word in text.split()]
    return max(legible, *map(len, (column.title, *words)))


def _in_columns(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], widths: Sequence[int]
) -> str:
    lines = []
    for row in ([column.title for column in columns], *rows):
        cells = [c.lines(text, w) for c, text, w in zip(columns, row, widths, strict=True)]
        lines += [
            (" " * _GAP)
            .join(c.placed(text, w) for c, text, w in zip(columns, parts, widths, strict=True))
            .rstrip()
            for parts in zip_longest(*cells, fillvalue="")
        ]
    return "\n".join(lines)


def _in_blocks(columns: Sequence[Column], rows: Sequence[Sequence[str]], room: int) -> str:
    """For each row a block: the first column, and below it all that is not empty."""
    names = max(len(column.title) for column in columns)
    lines = []
    for row in rows:
        for n, (column, text) in enumerate(zip(columns, row, strict=True)):
            if text or not n:
                title = f"{'  ' if n else ''}{column.title}".ljust(names + _GAP)
                indent = len(title) + _GAP
                first, *others = column.lines(text, max(room - indent, _LEAST))
                lines += [f"{title}  {first}", *(f"{'':{indent}}{line}" for line in others)]
    return "\n".join(lines)


def filled(text: str, width: int | None, *, first: str = "", others: str = "") -> str:
    """A paragraph that begins with `first`, and its other lines with `others`.

    Its lines are no longer than `width`, but for an address, which is never broken; without a width
    it is one line.
    """
    if width is None:
        return first + text
    return textwrap.fill(
        text,
        width,
        initial_indent=first,
        subsequent_indent=others,
        break_on_hyphens=False,
        break_long_words=False,
    )


def headed(name: str, words: str, width: int | None) -> str:
    """A name with what is said of it: below it on a terminal, where a long name fills the line."""
    if width is None:
        return f"{name}: {words}"
    return "\n".join([f"{name}:", filled(words, width, first="  ", others="  ")])


def bytes_in_words(size: int | None) -> str:
    """A size in the unit in which it is readable, decimal as registries have it; "-" for none."""
    if size is None:
        return "-"
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return counted(size, "byte")
