"""One page in Markdown for a whole run: what became of each cell, and what was skipped and why.

A run is made of jobs, each of which leaves build/summary.json or build/ci-matrix.json; the page is
made of as many of them as a folder holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rocm_images import markdown
from rocm_images.build.summary import GOOD_RESULTS, SCHEMA, CellSummary, Result
from rocm_images.errors import InputError
from rocm_images.foreign import document_of
from rocm_images.sizes import Sizes

SUMMARY = "summary.json"
PLANNED = "ci-matrix.json"
_HEADER = ("Cell", "Image", "Compressed", "Unpacked", "Seconds", "Evidence", "Result")
_NUMBERS = ("Compressed", "Unpacked", "Seconds")
_GOOD = set(map(str, GOOD_RESULTS))
_SCHEMA_OF_PLANNED = 1


@dataclass(frozen=True)
class Run:
    """What the jobs of a run left, as the documents say it."""

    cells: tuple[CellSummary, ...]
    """The cells of every summary, the newest last where a cell is in several."""
    skipped: tuple[dict[str, str], ...]
    """Cells that got no job."""


def read(folders: Sequence[Path]) -> Run:
    """Everything that jobs left below folders (or in files that are named themselves).

    Raises:
        InputError: a path does not exist, or a file is not one of build.py's.
    """
    cells: list[CellSummary] = []
    skipped: list[dict[str, str]] = []
    for path in _files(folders):
        try:
            document = document_of(path)
            if document["schema"] != (SCHEMA if "cells" in document else _SCHEMA_OF_PLANNED):
                raise ValueError(f"schema {document['schema']!r}")
            run = Run(tuple(document.get("cells", ())), tuple(document.get("skipped", ())))
            # Whatever the page needs of it is there.
            page(run)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise InputError(
                f"{path} is no {SUMMARY} or {PLANNED} of this program ({error}): name the build "
                "folder of a run, or a folder of several"
            ) from None
        cells += run.cells
        skipped += run.skipped
    return Run(tuple(cells), tuple(skipped))


def _files(folders: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for folder in folders:
        if folder.is_file():
            found.append(folder)
        elif folder.is_dir():
            # In the order of their names, so that the same files make the same page.
            found += sorted([*folder.rglob(SUMMARY), *folder.rglob(PLANNED)])
        else:
            raise InputError(f"{folder} does not exist: run build.py first, or name another folder")
    return found


def page(run: Run) -> str:
    """The page."""
    # One line for each cell: a later job of it knows more than an earlier one.
    cells = list({cell["cell"]: cell for cell in run.cells}.values())
    bad = [cell for cell in cells if cell["result"] not in _GOOD]
    # Of one that was interrupted there is no more to say than its row does.
    failed = [cell for cell in bad if cell["result"] != Result.INTERRUPTED]
    parts = [f"## Images: {_headline(len(cells), len(bad), len(failed), len(run.skipped))}"]
    if cells:
        parts.append(markdown.table(_HEADER, map(_row, cells), right=_NUMBERS))
    if run.skipped:
        rows = [(markdown.text(one["cell"]), markdown.text(one["why"])) for one in run.skipped]
        parts.append(f"### Skipped\n\n{markdown.table(('Cell', 'Why'), rows)}")
    parts += [_failure(cell) for cell in failed]
    return "\n\n".join(parts) + "\n"


def _headline(cells: int, bad: int, failed: int, skipped: int) -> str:
    good = cells - bad
    words = [f"{good} of {cells} good" if cells else "no cell was worked on"]
    words += [f"{failed} failed"] if failed else []
    words += [f"{bad - failed} interrupted"] if bad > failed else []
    words += [f"{skipped} skipped"] if skipped else []
    return ", ".join(words)


def _row(cell: CellSummary) -> list[str]:
    sizes, result = _sizes(cell), markdown.text(cell["result"])
    return [
        markdown.text(cell["cell"]),
        markdown.code(cell["reference"]) or "-",
        *sizes.words,
        f"{float(cell['seconds']):.0f}",
        markdown.text(cell["smoke"]),
        result if cell["result"] in _GOOD else f"**{result}**",
    ]


def _sizes(cell: CellSummary) -> Sizes:
    found = (cell["compressed"], cell["unpacked"])
    return Sizes(*(None if size is None else int(size) for size in found))


def _failure(cell: CellSummary) -> str:
    lines = [str(line) for line in cell["tail"]]
    title = f"### {markdown.text(cell['cell'])}: {markdown.text(cell['detail'])}"
    return "\n".join([title, "", *([markdown.block(lines)] if lines else [])])
