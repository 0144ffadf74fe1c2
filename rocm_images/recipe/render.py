"""Renders cells to Dockerfiles and a bake file, and compares them with what is committed."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rocm_images.files import cannot_write, write_whole
from rocm_images.matrix.schema import Layers, Matrix
from rocm_images.plan.cells import Cell
from rocm_images.recipe import templates
from rocm_images.recipe.advisories_page import advisories_page
from rocm_images.recipe.compression import output
from rocm_images.recipe.facts import image_json
from rocm_images.recipe.labels import annotations_of, labels_of
from rocm_images.recipe.rootfs import rootfs
from rocm_images.tables import Column, text_table

# A Dockerfile whose second line says so is ours to replace and to remove; nothing else is.
MARK = "# Rendered by `build.py render`"
MOST_LINES, MOST_FILES = 60, 5
"""Of differences that are shown whole, and else of files that are named."""


def render(matrix: Matrix, cells: Iterable[Cell]) -> Iterator[tuple[Cell, str]]:
    """The Dockerfile of each cell, as text."""
    environment = templates.environment(kept=True)
    for cell in cells:
        text = templates.rendered(
            environment,
            "Dockerfile.j2",
            cell=cell,
            labels=labels_of(cell),
            image_json=image_json(matrix, cell),
        )
        yield cell, text


def bake_file(cells: Iterable[Cell], dockerfiles: str, rootfs: str, layers: Layers) -> str:
    """docker-bake.json: a target for each cell, a group for each arch, each base, and all.

    Args:
        cells: the cells to list.
        dockerfiles: path of the folder that holds <cell>/Dockerfile, relative to the bake file.
        rootfs: path of the build context, relative to the bake file.
        layers: how they are compressed.
    """
    # Bake's names allow no dot.
    targets = {cell.name.replace(".", "_"): cell for cell in cells}
    groups: dict[str, list[str]] = {"default": list(targets)}
    for target, cell in targets.items():
        groups.setdefault(cell.server.name, []).append(target)
        groups.setdefault(cell.arch, []).append(target)
        groups.setdefault(f"rocm{cell.rocm.replace('.', '_')}", []).append(target)
    document = {
        "group": {name: {"targets": members} for name, members in groups.items()},
        "target": {
            target: {
                "context": rootfs,
                "dockerfile": os.path.relpath(f"{dockerfiles}/{cell.name}/Dockerfile", rootfs),
                "tags": [cell.reference(tag) for tag in cell.tags],
                "args": {"SOURCE_DATE_EPOCH": str(cell.epoch)},
                "attest": ["type=provenance,disabled=true"],
                "output": [output(layers, annotations=annotations_of(labels_of(cell)))],
            }
            for target, cell in targets.items()
        },
    }
    return json.dumps(document, indent=2) + "\n"


@dataclass(frozen=True)
class Destinations:
    """Where `render` writes."""

    dockerfiles: Path
    """The folder that receives <cell>/Dockerfile."""
    bake: Path
    advisories: Path

    @classmethod
    def beside(cls, matrix_path: Path) -> Destinations:
        """The project's own layout, around a matrix file."""
        folder = matrix_path.parent
        return cls(
            folder / "images", folder / "docker-bake.json", folder / "docs" / "advisories.md"
        )

    @classmethod
    def below(cls, folder: Path) -> Destinations:
        """Everything in one folder."""
        return cls(folder, folder / "docker-bake.json", folder / "advisories.md")


def rendered_files(matrix: Matrix, cells: Iterable[Cell], to: Destinations) -> dict[Path, str]:
    """Every file that `render` writes, by its path."""
    cells = tuple(cells)
    files = {
        to.dockerfiles / cell.name / "Dockerfile": text for cell, text in render(matrix, cells)
    }
    files[to.bake] = bake_file(
        cells,
        os.path.relpath(to.dockerfiles, to.bake.parent),
        os.path.relpath(rootfs(), to.bake.parent),
        matrix.layers,
    )
    files[to.advisories] = advisories_page(matrix, cells)
    return files


def stale_files(output: Path, expected: Mapping[Path, str]) -> list[Path]:
    """Dockerfiles that we rendered below `output` for cells that no longer exist."""
    found = sorted(output.glob("*/Dockerfile")) if output.is_dir() else []
    return [path for path in found if path not in expected and _is_ours(path)]


def _is_ours(path: Path) -> bool:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return len(lines) > 1 and lines[1].startswith(MARK)


def write(files: Mapping[Path, str], stale: Iterable[Path]) -> list[Path]:
    """Write the files that differ, remove stale ones, and return the paths that changed.

    Raises:
        InputError: a file cannot be written or removed; it is named.
    """
    changed = []
    hint = "name a folder that you can write to with --output"
    try:
        for path, text in files.items():
            if not path.exists() or path.read_bytes() != text.encode():
                write_whole(path, text, lasting=False, hint=hint)
                changed.append(path)
        for path in stale:
            path.unlink(missing_ok=True)
            changed.append(path)
            if not any(path.parent.iterdir()):
                path.parent.rmdir()
    except OSError as error:
        raise cannot_write(Path(error.filename), error, hint) from None
    return changed


def differences(files: Mapping[Path, str], stale: Iterable[Path]) -> dict[Path, str]:
    """By file, a unified diff from what is on disk to what would be rendered, where they differ."""
    found: dict[Path, str] = {}
    expected: dict[Path, str] = {**files, **dict.fromkeys(stale, "")}
    for path, text in sorted(expected.items()):
        try:
            present = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            present = ""
        if present != text:
            lines = difflib.unified_diff(
                present.splitlines(keepends=True),
                text.splitlines(keepends=True),
                f"{path} (on disk)",
                f"{path} (rendered)",
            )
            found[path] = "".join(lines)
    return found


def in_short(found: Mapping[Path, str]) -> str:
    """Differences that are too long to be read at once: which files, and how much of each."""
    rows = [
        (os.path.relpath(path), *(str(_count(sign, diff)) for sign in "+-"))
        for path, diff in list(found.items())[:MOST_FILES]
    ]
    header = ("FILE", Column.number("NEW LINES"), Column.number("GONE"))
    more = len(found) - len(rows)
    differ = "1 file differs" if len(found) == 1 else f"{len(found)} files differ"
    return (
        f"{differ}; -v shows the differences\n"
        + text_table(header, rows)
        + (f"\nand {more} more" if more else "")
        + "\n"
    )


def _count(sign: str, diff: str) -> int:
    # The first two lines name the file.
    return sum(line.startswith(sign) for line in diff.splitlines()[2:])
