"""Chooses cells by the names that a user typed."""

from __future__ import annotations

from collections.abc import Sequence

from rocm_images.errors import InputError, closest
from rocm_images.plan.cells import Cell


def select(cells: Sequence[Cell], archs: Sequence[str], bases: Sequence[str]) -> tuple[Cell, ...]:
    """The cells of the given archs and bases; no name given means all of them.

    Raises:
        InputError: a name is unknown, or no cell has the given arch and base together.
    """
    for kind, given, known in (
        ("arch", archs, {cell.arch for cell in cells}),
        ("base", bases, {cell.rocm for cell in cells}),
    ):
        for name in given:
            if name not in known:
                raise InputError(f"unknown {kind} {name!r}: {closest(name, known)}")
    chosen = tuple(
        cell
        for cell in cells
        if (not archs or cell.arch in archs) and (not bases or cell.rocm in bases)
    )
    if not chosen:
        raise InputError(
            f"no cell has arch {' or '.join(archs)} and base {' or '.join(bases)}: "
            "matrix.yaml excludes them"
        )
    return chosen


def cell_named(cells: Sequence[Cell], name: str) -> Cell:
    """The cell of that name.

    Raises:
        InputError: there is none.
    """
    for cell in cells:
        if cell.name == name:
            return cell
    raise InputError(f"unknown cell {name!r}: {closest(name, [cell.name for cell in cells])}")
