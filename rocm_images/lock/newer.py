"""What it would mean to take a newer base or a newer release: the matrix is tried with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from packaging.version import Version

from rocm_images.lock.forms import BaseForm, BaseTag, Release, newer_bases, newer_releases
from rocm_images.matrix.schema import Base, Matrix, Source
from rocm_images.plan.cells import Cell, Unfit, cells_of, unfit_cells
from rocm_images.plan.variants import Versions, is_affected

MOST_SHOWN = 8
"""Of one form: a repository may have hundreds that are newer than an old matrix."""


@dataclass(frozen=True)
class Consequence:
    """What changes for the images of one server."""

    server: str
    come: tuple[str, ...]
    """Advisories that apply from then on."""
    go: tuple[str, ...]
    all_reduce: tuple[tuple[str, str], ...]
    """The default before and after, of cells that differ in it; empty where no cell fits."""
    cannot: tuple[str, ...]
    """A sentence for each thing of which no variant fits."""


@dataclass(frozen=True)
class NewerBase:
    """A base that upstream has and the matrix has not, and the base of ours that it is held to."""

    rocm: str
    base: Base
    instead_of: str
    ours: Base
    """That of ours."""
    consequences: tuple[Consequence, ...]


@dataclass(frozen=True)
class NewerRelease:
    """A release of a server that upstream has, tried in each variant of the newest one of ours."""

    server: str
    release: Release
    between: tuple[str, ...]
    """Other releases, newer than ours and older than this one; the newest first."""
    instead_of: str
    consequences: tuple[Consequence, ...]


@dataclass(frozen=True)
class News:
    """All that upstream has and the matrix could take."""

    bases: tuple[NewerBase, ...] = ()
    releases: tuple[NewerRelease, ...] = ()
    unasked: tuple[str, ...] = ()
    """A sentence for each list that could not be had."""


def forms_of(matrix: Matrix) -> dict[BaseForm, BaseTag]:
    """The forms of the bases' tags, each with the newest of ours; of bases that have cells."""
    used = {cell.rocm for cell in cells_of(matrix)}
    newest: dict[BaseForm, BaseTag] = {}
    for rocm, base in matrix.bases.items():
        form = BaseForm.of(rocm, base) if rocm in used else None
        if form is not None:
            ours = BaseTag(base.image.rpartition(":")[2], rocm, base.python, base.torch)
            known = newest.setdefault(form, ours)
            newest[form] = max(known, ours, key=lambda one: one.age)
    return newest


def servers_of(matrix: Matrix) -> dict[str, Source]:
    """The newest source of each server that has cells."""
    newest: dict[str, Source] = {}
    for cell in cells_of(matrix):
        ours = cell.sources[cell.server.name]
        known = newest.setdefault(cell.server.name, ours)
        newest[cell.server.name] = max(known, ours, key=lambda one: Version(one.version))
    return newest


def tried_bases(
    matrix: Matrix, form: BaseForm, newest: BaseTag, tags: Iterable[str]
) -> Iterator[NewerBase]:
    """Each newer base, tried."""
    # Alone with the base in question: the others stay as they are.
    ours = matrix.model_copy(update={"bases": {newest.rocm: matrix.bases[newest.rocm]}})
    for tag in newer_bases(form, newest, tags)[:MOST_SHOWN]:
        image = f"{form.repository}:{tag.tag}"
        base = Base(image=image, python=tag.python, torch=tag.torch)
        after = matrix.model_copy(update={"bases": {tag.rocm: base}})
        found = _consequences(
            matrix,
            {_key(cell, ""): cell for cell in cells_of(ours)},
            {_key(cell, ""): cell for cell in cells_of(after)},
            list(unfit_cells(after)),
            base,
            tag.rocm,
        )
        ours_now = matrix.bases[newest.rocm]
        yield NewerBase(tag.rocm, base, newest.rocm, ours_now, tuple(found))


def tried_release(
    matrix: Matrix, server: str, newest: Source, tags: Iterable[str]
) -> NewerRelease | None:
    """The newest release, if it is newer than ours, tried where the newest of ours is."""
    releases = newer_releases(newest, tags)
    if not releases:
        return None
    first, *others = releases
    taken = newest.model_copy(update={"ref": first.tag, "version": first.version})
    entry = matrix.servers[server]
    variants = tuple(taken if one == newest else one for one in entry.sources[server])
    sources = {**entry.sources, server: variants}
    after = matrix.model_copy(
        update={
            "servers": {**matrix.servers, server: entry.model_copy(update={"sources": sources})}
        }
    )
    before, then = (
        {
            _key(cell, cell.rocm): cell
            for cell in cells_of(one)
            if cell.sources.get(server) == source
        }
        for one, source in ((matrix, newest), (after, taken))
    )
    found = _consequences(matrix, before, then, list(unfit_cells(after)), None, "")
    return NewerRelease(
        server, first, tuple(one.version for one in others), newest.version, tuple(found)
    )


_Key = tuple[str, str, str]


def _key(cell: Cell, rocm: str) -> _Key:
    return cell.server.name, cell.arch, rocm


def _consequences(
    matrix: Matrix,
    before: Mapping[_Key, Cell],
    after: Mapping[_Key, Cell],
    unfit: list[Unfit],
    base: Base | None,
    rocm: str,
) -> Iterator[Consequence]:
    """For each server; where nothing fits, advisories are asked with the pins of before."""
    for server in dict.fromkeys(key[0] for key in before):
        come: dict[str, None] = {}
        go: dict[str, None] = {}
        ways: dict[tuple[str, str], None] = {}
        for key, old in before.items():
            if key[0] != server:
                continue
            new = after.get(key)
            had = [one.id for one in old.advisories]
            if new is not None:
                has = [one.id for one in new.advisories]
                ways[old.all_reduce, new.all_reduce] = None
            else:
                has = _affecting(matrix, old, base, rocm)
            come |= dict.fromkeys(one for one in has if one not in had)
            go |= dict.fromkeys(one for one in had if one not in has)
        yield Consequence(
            server, tuple(come), tuple(go), tuple(ways), tuple(_cannot(unfit, server))
        )


def _affecting(matrix: Matrix, old: Cell, base: Base | None, rocm: str) -> list[str]:
    python, torch = (base.python, base.torch) if base else (old.python, old.torch)
    pins = {name: one.version for name, one in old.sources.items()}
    versions = Versions(old.server.name, old.arch, rocm or old.rocm, python, torch, pins)
    return [one.id for one in matrix.advisories if is_affected(one.affected, versions)]


def _cannot(unfit: list[Unfit], server: str) -> Iterator[str]:
    """As `plan.load` refuses it: one sentence for each thing, with how many cells it is about."""
    here: dict[tuple[str, ...], list[Unfit]] = {}
    for one in unfit:
        if one.where[1] == server:
            here.setdefault(one.where, []).append(one)
    for several in here.values():
        more = f", and {len(several) - 1} more" if len(several) > 1 else ""
        yield f"{several[0].sentence}{more}: add one"
