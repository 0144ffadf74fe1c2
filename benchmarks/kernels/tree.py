"""Writes the tree of kernels, and changes one of them."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.kernels.templates import COMMON, sources
from rehearsal.stand_ins import SOURCES

_SETUP = Path(__file__).with_name("setup_of_tree.py")


def write_tree(folder: Path, most: int | None = None) -> Path:
    """A source tree in the place of AITER's, with all kernels or the first few; returns it.

    What is no kernel is the rehearsal's stand-in for AITER, so that an image can be made of it.
    """
    shutil.copytree(SOURCES / "aiter", folder, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "setup.py").write_text(_SETUP.read_text())
    kernels = folder / "kernels"
    kernels.mkdir()
    (kernels / "common.h").write_text(COMMON)
    for name, text in list(sources())[:most]:
        (kernels / f"{name}.cu").write_text(text)
    return folder


def change(tree: Path, name: str, before: str, after: str) -> None:
    """Change what one kernel does."""
    kernel = tree / "kernels" / f"{name}.cu"
    text = kernel.read_text()
    assert text.count(before) == 1
    kernel.write_text(text.replace(before, after))
