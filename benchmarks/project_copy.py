"""A copy of the project for the benchmarks to change files in, for all contenders."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rehearsal import bases
from rehearsal.stand_ins import Rehearsal
from rocm_images.matrix.schema import Matrix
from rocm_images.places import PROJECT
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.plan.load import load
from rocm_images.recipe.render import render
from rocm_images.references import CONTEXT

# At the top alone: a folder of rootfs has a program called build.
_NOT_COPIED_OF_THE_TOP = {".git", ".venv", ".cache", "build"}
# A file that every image gets, and no step before the last ones reads.
CHANGED_FILE = "images/rootfs/opt/rocm-images/graph_probe/tokens.py"


@dataclass(frozen=True)
class ProjectCopy:
    """The copy, and what is built from it: the cells, and a replaced base."""

    folder: Path
    matrix: Matrix
    base: tuple[str, str] | None = None
    """A ROCm version, and the image that stands for its base now."""
    bases: tuple[str, ...] = ()
    """The ROCm versions whose cells are built; none: all."""

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Those that are built."""
        every = cells_of(self.matrix)
        return tuple(cell for cell in every if not self.bases or cell.rocm in self.bases)

    def dockerfiles(self) -> list[tuple[Cell, Path]]:
        """The rendered Dockerfile of each cell."""
        return [(cell, self.folder / cell.dockerfile) for cell in self.cells]

    def base_of(self, cell: Cell) -> str:
        """The image that a cell is built on."""
        if self.base and self.base[0] == cell.rocm:
            return self.base[1]
        return bases.base_reference(self.matrix, cell.rocm)

    def contexts(self, cell: Cell) -> Mapping[str, str]:
        """What replaces the base and the sources of a cell."""
        sources = self.folder / "rehearsal" / "sources"
        replaced = dict(Rehearsal().replaced(self.matrix, cell))
        for name in cell.pins:
            folder = sources / name.removesuffix("-src")
            if folder.is_dir():
                replaced[name] = str(folder)
        return {**replaced, cell.base_image: CONTEXT + self.base_of(cell)}

    def change_one_file(self) -> None:
        """Give one file of rootfs a content that it never had."""
        text = (PROJECT / CHANGED_FILE).read_text()
        (self.folder / CHANGED_FILE).write_text(f"{text}# {uuid.uuid4()}\n")


def copy_project(folder: Path, bases: tuple[str, ...] = ()) -> ProjectCopy:
    """Copy the project to `folder`, replacing what is there; see ProjectCopy for `bases`."""
    shutil.rmtree(folder, ignore_errors=True)
    anywhere = shutil.ignore_patterns("results", "__pycache__", ".*_cache")

    def ignored(path: str, names: list[str]) -> set[str]:
        top = _NOT_COPIED_OF_THE_TOP if Path(path) == PROJECT else set()
        return anywhere(path, names) | (top & set(names))

    shutil.copytree(PROJECT, folder, ignore=ignored)
    # The wheels of the stand-in base, downloaded once.
    (folder / ".cache").mkdir()
    (folder / ".cache" / "rehearsal").symlink_to(PROJECT / ".cache" / "rehearsal")
    matrix = load(folder / "matrix.yaml")
    copy = ProjectCopy(folder, matrix, bases=bases)
    for cell, text in render(matrix, copy.cells):
        path = folder / cell.dockerfile
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return copy
