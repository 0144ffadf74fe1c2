"""Words for what upstream has and the matrix could take: lines for a person, parts of the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rocm_images import markdown
from rocm_images.lock.newer import Consequence, NewerBase, News
from rocm_images.tables import filled, headed

_HOW = """\
Nothing is built of these until they are in the matrix. A new base is a block in `bases`, which
`build.py lock --take` writes for the newest: its advisories and its all-reduce default follow from
its version, and so do its pins where the ranges of a variant fit. Where none fits, read what
upstream builds for that ROCm, add a variant (or widen a range), and say `why`. Then
`build.py render` and `build.py lock --update BASE`.

No range can tell what else a release asks of its other sources and pins: read its own Dockerfile
for ROCm."""


def lines_of(news: News, width: int | None = None) -> Iterator[str]:
    """Each thing that is newer, and what it means for each server; on a terminal over lines."""
    for one in news.bases:
        versions = f"Python {_python(one)}, torch {_torch(one)}"
        told = f"{one.base.image} ({versions}; newest here {one.instead_of})"
        yield headed(f"newer base {one.rocm}", told, width)
        yield from _lines(one.consequences, width)
    for other in news.releases:
        between = f"; between: {_some(other.between)}" if other.between else ""
        told = f"{other.release.tag} (newest here {other.instead_of}{between})"
        yield headed(f"newer release of {other.server}", told, width)
        yield from _lines(other.consequences, width)


def parts_of(news: News) -> Iterator[str]:
    """The parts of the page: a table, and how it is taken; nothing where nothing is newer."""
    rows = []
    for one in news.bases:
        versions = (_python(one, "→"), _torch(one, "→"))
        what = (f"{one.rocm}: {one.base.image}", one.instead_of, *versions)
        rows += [_row(what, each) for each in one.consequences]
    for other in news.releases:
        between = f" (between: {_some(other.between)})" if other.between else ""
        what = (f"{other.server} {other.release.tag}{between}", other.instead_of, "-", "-")
        rows += [_row(what, each) for each in other.consequences]
    if rows:
        header = ("Newer", "Newest here", "python", "torch", "Server", "Advisories", "All-reduce")
        yield "### What is newer upstream"
        yield markdown.table((*header, "Fits"), rows)
        yield _HOW


def _python(one: NewerBase, arrow: str = "->") -> str:
    return _change(one.ours.python, one.base.python, arrow)


def _torch(one: NewerBase, arrow: str = "->") -> str:
    return _change(one.ours.torch, one.base.torch, arrow)


def _change(before: str, after: str, arrow: str) -> str:
    return after if before == after else f"{before} {arrow} {after}"


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _advisories(one: Consequence) -> str:
    parts = [
        f"{', '.join(ids)} {verb}" for verb, ids in (("go", one.go), ("come", one.come)) if ids
    ]
    return "; ".join(parts) or "the same"


def _all_reduce(one: Consequence, arrow: str = "->") -> str:
    if not one.all_reduce:
        return "not known before it fits"
    changed = [_change(*way, arrow) for way in one.all_reduce if way[0] != way[1]]
    return "; ".join(changed) or f"stays {', '.join(after for _, after in one.all_reduce)}"


def _fits(one: Consequence) -> str:
    return f"cannot: {'; '.join(one.cannot)}" if one.cannot else "yes"


def _lines(consequences: Sequence[Consequence], width: int | None) -> Iterator[str]:
    for one in consequences:
        words = f"{one.server}: advisories: {_advisories(one)}; all-reduce: {_all_reduce(one)}"
        yield filled(words, width, first="  ", others="    ")
        for sentence in one.cannot:
            yield filled(f"cannot: {sentence}", width, first="    ", others="      ")


def _row(what: Sequence[str], one: Consequence) -> list[str]:
    texts = (*what, one.server, _advisories(one), _all_reduce(one, "→"), _fits(one))
    return [markdown.text(text) for text in texts]
