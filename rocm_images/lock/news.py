"""Words for what upstream has and the matrix could take: lines for a person, parts of the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rocm_images import markdown
from rocm_images.lock.newer import Consequence, NewerBase, NewerRelease, News

_HOW = """\
Nothing is built of these until they are in the matrix. A new base is a block in `bases`, which
`build.py lock --take` writes for the newest: its advisories and its all-reduce default follow from
its version, and so do its pins where the ranges of a variant fit. Where none fits, read what
upstream builds for that ROCm, add a variant (or widen a range), and say `why`. Then
`build.py render` and `build.py lock --update BASE`.

No range can tell what else a release asks of its other sources and pins: read its own Dockerfile
for ROCm."""


def lines_of(news: News) -> Iterator[str]:
    """One line for each thing that is newer, with a line for each server below it."""
    for one in news.bases:
        yield f"newer base {_base(one)}"
        yield from _lines(one.consequences)
    for other in news.releases:
        yield f"newer release of {other.server}: {_release(other)}"
        yield from _lines(other.consequences)


def parts_of(news: News) -> Iterator[str]:
    """The parts of the page: a table, and how it is taken; nothing where nothing is newer."""
    rows = [_row(_base(one), one.instead_of, c) for one in news.bases for c in one.consequences]
    rows += [
        _row(f"{one.server} {_release(one)}", one.instead_of, c)
        for one in news.releases
        for c in one.consequences
    ]
    if rows:
        header = ("Newer", "Newest here", "Server", "Advisories", "All-reduce", "Fits")
        yield "### What is newer upstream"
        yield markdown.table(header, rows)
        yield _HOW


def _base(one: NewerBase) -> str:
    return f"{one.rocm}: {one.base.image} (Python {one.base.python}, torch {one.base.torch})"


def _release(one: NewerRelease) -> str:
    more = f" (between: {_some(one.between)})" if one.between else ""
    return f"{one.release.tag}{more}"


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _advisories(one: Consequence) -> str:
    parts = [
        f"{', '.join(ids)} {verb}" for verb, ids in (("go", one.go), ("come", one.come)) if ids
    ]
    return "; ".join(parts) or "the same"


def _all_reduce(one: Consequence) -> str:
    if not one.all_reduce:
        return "not known before it fits"
    changed = [f"{before} -> {after}" for before, after in one.all_reduce if before != after]
    return "; ".join(changed) or f"stays {', '.join(after for _, after in one.all_reduce)}"


def _fits(one: Consequence) -> str:
    return f"cannot: {'; '.join(one.cannot)}" if one.cannot else "yes"


def _lines(consequences: Sequence[Consequence]) -> Iterator[str]:
    for one in consequences:
        yield f"  {one.server}: advisories: {_advisories(one)}; all-reduce: {_all_reduce(one)}"
        yield from (f"    cannot: {sentence}" for sentence in one.cannot)


def _row(what: str, instead_of: str, one: Consequence) -> list[str]:
    texts = (what, instead_of, one.server, _advisories(one), _all_reduce(one), _fits(one))
    return [markdown.text(text) for text in texts]
