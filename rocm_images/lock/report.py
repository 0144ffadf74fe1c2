"""What moved upstream and what is newer there, as a page: the text of the pull request."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rocm_images import markdown
from rocm_images.files import write_whole
from rocm_images.lock.changes import Change
from rocm_images.lock.file import source_key
from rocm_images.lock.newer import News
from rocm_images.lock.news import parts_of
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell, cells_of

_WHY_SAFE = """\
### Why this is safe to take

- It changes no published image. Each cell below gets another build id, so another immutable tag;
  the images of today keep theirs.
- Until this is merged, nothing is built from what moved: a build uses the locked digests, and
  refuses a base that moved under its tag.
- After it is merged, each of these cells is built and tested from inside again, and the rolling
  tags move only when every image that is published passed. `build.py rollback` moves them back.

What no test shows is whether you want what moved: look at the base's packages and at the commits
between the two before you merge.
"""


def lock_report(
    matrix: Matrix, changes: Sequence[Change], unresolved: Sequence[str], news: News | None = None
) -> str:
    """The page.

    Args:
        matrix: what the lock is for.
        changes: the entries that differ.
        unresolved: a sentence for each name that could not be resolved.
        news: what upstream has that the matrix could take; None: nobody asked.
    """
    if changes:
        parts = [
            "### What moved",
            markdown.table(
                ("Entry", "Was", "Is now", "Cells"), [_row(matrix, change) for change in changes]
            ),
            _WHY_SAFE.rstrip(),
        ]
    else:
        parts = ["Nothing moved."]
    parts += parts_of(news or News())
    unasked = (*unresolved, *(news.unasked if news else ()))
    if unasked:
        lines = "\n".join(f"- {markdown.text(sentence)}" for sentence in unasked)
        parts.append(f"### What could not be asked\n\n{lines}")
    return "\n\n".join(parts) + "\n"


def write_report(
    path: Path,
    matrix: Matrix,
    changes: Sequence[Change],
    unresolved: Sequence[str],
    news: News | None = None,
) -> None:
    """Write the page.

    Raises:
        InputError: the file cannot be written.
    """
    text = lock_report(matrix, changes, unresolved, news)
    write_whole(path, text, hint="name another file with --report")


def _row(matrix: Matrix, change: Change) -> list[str]:
    cells = ", ".join(cells_with(matrix, change))
    texts = (change.key, change.old or "-", change.new or "-")
    return [*map(markdown.code, texts), markdown.text(cells or "none")]


def cells_with(matrix: Matrix, change: Change) -> list[str]:
    """The names of the cells that what moved goes into."""
    return [cell.name for cell in cells_of(matrix) if _uses(cell, change)]


def _uses(cell: Cell, change: Change) -> bool:
    """Whether the entry goes into the cell: its base, or one of its sources."""
    if change.new is None:
        return False
    return change.key in (cell.base_image, *map(source_key, cell.sources.values()))
