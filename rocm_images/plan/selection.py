"""Chooses cells by the names that a user typed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rocm_images.errors import InputError, closest, known_archs, known_versions
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell

ALL_SERVERS = "all"
T = TypeVar("T")


@dataclass(frozen=True)
class Choice:
    """Which cells a command line names; no arch or base named means all of them."""

    servers: tuple[str, ...] = ()
    """None: the matrix's default one; ALL_SERVERS: each."""
    archs: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.servers or self.archs or self.bases)

    def of(self, matrix: Matrix, cells: Sequence[Cell]) -> tuple[Cell, ...]:
        """Those of all the matrix's cells that are named; an arch by any of its `arch_names`.

        Raises:
            InputError: a name is unknown, or no cell has the given names together.
        """
        servers = _stripped(self.servers) or (matrix.default_server,)
        archs = tuple(arch_of(name, matrix) for name in self.archs)
        bases = _stripped(self.bases)
        known_servers = {*matrix.servers, ALL_SERVERS}
        gpus = {cell.arch: cell.gpus for cell in cells}
        releases = {cell.rocm for cell in cells}
        for name in servers:
            if name not in known_servers:
                hint = closest(name, known_servers)
                raise InputError(_unknown("inference server", "--server", name, hint))
        for name in archs:
            if name not in gpus:
                raise InputError(_unknown("arch", "--arch", name, known_archs(gpus)))
        for name in bases:
            if name not in releases:
                raise InputError(_unknown("base", "--base", name, known_versions(name, releases)))
        if ALL_SERVERS in servers:
            servers = tuple(matrix.servers)
        chosen = tuple(
            cell
            for cell in cells
            if cell.server.name in servers
            and (not archs or cell.arch in archs)
            and (not bases or cell.rocm in bases)
        )
        if not chosen:
            named = [
                " or ".join(map(repr, names)) for names in (servers, self.archs, bases) if names
            ]
            raise InputError(f"no cell is of {', '.join(named)}: matrix.yaml excludes them")
        return chosen


def _stripped(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.strip() for name in names)


def arch_names(*names: str) -> set[str]:
    """What people type for an arch: its names, and of a GPU's the model, all in lower case.

    `AMD Instinct MI300X` is called mi300x, too.
    """
    return {form.lower() for name in names for form in (name, name.rpartition(" ")[2])}


def arch_of(text: str, matrix: Matrix) -> str:
    """The key of an arch that was named by it, its gfx, its tags' family, or one of its GPUs.

    A name that several archs have, or none, is given back as it is, but for spaces around it.
    """
    text = text.strip()
    found = [
        key
        for key, arch in matrix.archs.items()
        if text.lower() in arch_names(key, arch.gfx, arch.family, *arch.gpus)
    ]
    return found[0] if len(found) == 1 else text


def by_repository(things: Sequence[T], cell_of: Callable[[T], Cell]) -> dict[str, list[T]]:
    """What is made of cells, by the repository of their images: each server has its own."""
    found: dict[str, list[T]] = {}
    for thing in things:
        found.setdefault(cell_of(thing).repository, []).append(thing)
    return found


def _unknown(what: str, option: str, name: str, hint: str) -> str:
    """The sentence for a name that does not exist; of several in one, how they are written."""
    each = [one.strip() for one in name.split(",")]
    if len(each) > 1 and all(each):
        hint += f"; several are {' '.join(f'{option} {one}' for one in each)}"
    return f"unknown {what} {name!r}: {hint}"


def repository_of(cells: Sequence[Cell]) -> str:
    """The repository that the images of these cells belong to.

    Raises:
        InputError: there are several, or none.
    """
    found = sorted({cell.repository for cell in cells})
    if len(found) != 1:
        raise InputError(
            f"these images belong to several repositories ({', '.join(found)}): name one "
            "inference server with --server"
        )
    return found[0]


def cell_named(cells: Sequence[Cell], name: str) -> Cell:
    """The cell of that name.

    Raises:
        InputError: there is none; no cell of another GPU than the named one is suggested.
    """
    for cell in cells:
        if cell.name == name:
            return cell
    raise InputError(f"unknown cell {name!r}: {_cells_meant(cells, name)}")


def cell_typed(cells: Sequence[Cell], text: str) -> Cell:
    """The cell that a user typed, as `cell_named`, with any name of its arch: SERVER-mi300x-7.2.0.

    What a label says of a cell is no such text: `cell_named` takes that.

    Raises:
        InputError: there is none, or several have that name.
    """
    found = [
        cell
        for cell in cells
        for arch in _names_of_arch(cell)
        for base in (f"rocm{cell.rocm}", cell.rocm)
        if text.strip().lower() == f"{cell.server.name}-{arch}-{base}".lower()
    ]
    return found[0] if len(found) == 1 else cell_named(cells, text)


def _names_of_arch(cell: Cell) -> set[str]:
    return arch_names(cell.arch, cell.gfx, cell.family, *cell.gpus)


def _cells_meant(cells: Sequence[Cell], text: str) -> str:
    """A hint to end a sentence with: cells of the arch that a text names, and of none other."""
    gpus = {cell.arch: cell.gpus for cell in cells}
    meant = [(cell, name) for cell in cells for name in _names_of_arch(cell) if _in(text, name)]
    if not meant:
        return f"a cell is SERVER-ARCH-rocmBASE, and of archs these are {known_archs(gpus)}"
    for name in sorted({name for _, name in meant}, key=len):
        (arch, *others) = {cell.arch for cell, also in meant if also == name}
        if not others:
            text = re.sub(_part(name), arch, text, flags=re.IGNORECASE)
    left = [cell for cell, _ in meant]
    left = [cell for cell in left if _in(text, cell.server.name)] or left
    of_base = [cell for cell in left if _in(text, cell.rocm) or _in(text, f"rocm{cell.rocm}")]
    # A server may be misspelt; which version is meant is not guessed.
    hint = closest if of_base else known_versions
    return hint(text, {cell.name for cell in of_base or left})


def _in(text: str, name: str) -> bool:
    return re.search(_part(name), text, re.IGNORECASE) is not None


def _part(name: str) -> str:
    return rf"(?<![\w.]){re.escape(name)}(?![\w.])"
