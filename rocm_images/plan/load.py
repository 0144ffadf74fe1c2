"""Loads matrix.yaml: reads it, and checks what it expands to."""

from __future__ import annotations

from pathlib import Path

from rocm_images.matrix.reader import Found, read
from rocm_images.matrix.schema import Matrix
from rocm_images.plan import advisories
from rocm_images.plan.cells import Cell, Unfit, cells_of, unfit_cells
from rocm_images.servers import SERVERS
from rocm_images.telling import counted


def load(path: Path) -> Matrix:
    """The matrix of a file, whose cells can all be built side by side.

    Raises:
        InputError: the file cannot be read.
        MatrixError: the file can be read and something in it is wrong; it lists every problem.
    """
    return read(path, _check)


def _check(matrix: Matrix) -> Found:
    unfit: dict[tuple[str, ...], list[Unfit]] = {}
    for one in unfit_cells(matrix):
        unfit.setdefault(one.where, []).append(one)
    for where, here in unfit.items():
        also = f", and {counted(len(here) - 1, 'other cell')}" if len(here) > 1 else ""
        advice = "add one whose `for` does, or exclude what is not to be built"
        yield where, f"{here[0].sentence}{also}: {advice}"
    cells = cells_of(matrix)
    if not (cells or unfit):
        yield ("exclude",), "every cell is excluded: nothing is left to build"
    yield from _check_tags(cells)
    yield from _check_advisories(matrix, cells)


def _check_tags(cells: tuple[Cell, ...]) -> Found:
    owners: dict[str, Cell] = {}
    for cell in cells:
        for tag in cell.tags:
            other = owners.setdefault(cell.reference(tag), cell)
            if other is not cell:
                where = ("archs", cell.arch) if cell.rocm == other.rocm else ("bases", cell.rocm)
                if cell.server is not other.server:
                    where = ("servers", cell.server.name)
                yield where, f"{cell.name} and {other.name} would both be tagged {tag}"
        if len(cell.tags[0]) > 128:
            yield ("archs", cell.arch), f"the tag {cell.tags[0]} is longer than 128 characters"


def _check_advisories(matrix: Matrix, cells: tuple[Cell, ...]) -> Found:
    for index, advisory in enumerate(matrix.advisories):
        affected = advisory.affected
        meant = affected.servers or SERVERS.keys() & affected.sources.keys() or SERVERS
        for variable in advisory.set:
            owner = advisories.owner_of(variable)
            if owner is not None and owner.name not in meant:
                sentence = f"never set: {variable} is {owner.title}'s, which is not affected"
                yield ("advisories", index, "set", variable), sentence
    index_of = {advisory.id: index for index, advisory in enumerate(matrix.advisories)}
    reported: set[tuple[str, str, str]] = set()
    for cell in cells:
        for first, second, variable in advisories.conflicts(
            cell.advisories, cell.server, cell.version
        ):
            if (first.id, second.id, variable) in reported:
                continue
            reported.add((first.id, second.id, variable))
            yield (
                ("advisories", index_of[second.id], "set", variable),
                f"for {cell.name} the advisories {first.id!r} and {second.id!r} set {variable} to "
                f"{first.set[variable]!r} and {second.set[variable]!r}: make their ranges disjoint",
            )
