"""Writes Markdown from texts of others: whatever they hold is shown, and nothing of it acts.

Source: https://github.github.com/gfm/
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rocm_images.foreign import shown, shown_line

# Only where it would act: `ROCm <7.2.1` and `find_buildx` stay as people read them.
_ACTIVE = re.compile(
    r"[\\`*~\[]|(?<![^\W_])_|<(?=[A-Za-z/!?])|&(?=#|[A-Za-z])|^(?:>|[-+#](?=[\s#]|$))"
)
# One that is not escaped: after an even number of backslashes.
_PIPE = re.compile(r"(?<!\\)((?:\\\\)*)\|")
_ENTITIES = {"&": "&amp;", "<": "&lt;"}


def text(content: object) -> str:
    """A text in running words, a heading or a cell of a table, on one line."""
    flat = shown(" ".join(str(content).split()))
    return _ACTIVE.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), flat)


def code(content: object) -> str:
    """A text as code within a line."""
    flat = shown(" ".join(str(content).split()))
    ticks = _more_ticks(flat, 1)
    space = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{ticks}{space}{flat}{space}{ticks}" if flat else ""


def block(lines: Sequence[str]) -> str:
    """Lines as a block of code."""
    plain = [shown_line(line) for line in lines]
    fence = _more_ticks("\n".join(plain), 3)
    return "\n".join([fence, *plain, fence])


def table(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()
) -> str:
    """A table of cells that are Markdown; the columns named in `right` are aligned there."""
    rule = "|".join("---:" if name in right else "---" for name in header)
    return "\n".join([_row(header), f"|{rule}|", *map(_row, rows)])


def _row(cells: Sequence[str]) -> str:
    # In code as well: a table's cells are told apart before anything else is read.
    escaped = [_PIPE.sub(r"\1\\|", cell) for cell in cells]
    return f"| {' | '.join(escaped)} |"


def _more_ticks(content: str, least: int) -> str:
    """More backquotes than stand together anywhere in it, so that nothing in it ends the code."""
    longest = max((len(ticks) for ticks in re.findall("`+", content)), default=0)
    return "`" * max(least, longest + 1)
