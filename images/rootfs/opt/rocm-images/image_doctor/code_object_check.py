"""Checks that the server's compiled kernels are for the image's GPU and for no other."""

from __future__ import annotations

import mmap
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from image_doctor.amdgpu import runs_on
from image_doctor.check import Check, failed, first_few, not_run, passed, warned
from image_doctor.decompression import CannotDecompress
from image_doctor.image import REBUILD, Image

if TYPE_CHECKING:
    from image_doctor.offload_bundle import CodeObject


def check_code_objects(image: Image) -> Check:
    """Every code object is for the image's gfx, by its bundle entry's id and by its ELF header."""
    name = "code-objects"
    gfx, kernels = image.facts.gfx, image.server.kernels
    if not kernels:
        return passed(name, f"{image.server.title} has no kernels of its own.")
    if gfx is None:
        return not_run(name, "image.json names no gfx to compare with.", REBUILD)
    if find_spec("elftools") is None:
        return not_run(
            name,
            "pyelftools is not installed.",
            "Install it: /opt/venv/bin/pip install pyelftools.",
        )
    wrong: list[str] = []
    doubtful: list[str] = []
    objects: Counter[str] = Counter()
    libraries: Counter[str] = Counter()
    for package, folders in kernels.items():
        for path in image.shared_objects(*folders):
            shown = image.shown(path)
            try:
                found = _read(path)
            except CannotDecompress as error:
                doubtful.append(f"{shown} cannot be read: {error}")
                objects[package] += 1
                continue
            except OSError as error:
                wrong.append(f"{shown} cannot be read: {error}")
                continue
            except _Broken as error:
                wrong.append(f"{shown}: {error}")
                continue
            libraries[package] += bool(found)
            objects[package] += len(found)
            bad, odd = judge(found, gfx)
            wrong += [f"{shown}: {sentence}" for sentence in bad]
            doubtful += [f"{shown}: {sentence}" for sentence in odd]
        if not objects[package] and not wrong:
            wrong.append(f"no library of {package} holds any code object")
    if wrong:
        return failed(
            name,
            first_few(wrong) + ".",
            f"Use the image that was built for your GPU, or rebuild this one for {gfx} alone.",
        )
    if doubtful:
        return warned(name, first_few(doubtful) + ".", "Look at these files by hand.")
    counts = ", ".join(
        f"{objects[p]} in {libraries[p]} {'library' if libraries[p] == 1 else 'libraries'} of {p}"
        for p in kernels
    )
    return passed(name, f"all code objects are for {gfx}: {counts}.")


class _Broken(Exception):
    pass


def _read(path: Path) -> list[CodeObject]:
    # Here, because pyelftools may be missing.
    from image_doctor.offload_bundle import DamagedBundle, read_library

    with path.open("rb") as file:
        try:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            raise _Broken("it is empty") from None
        with mapped:
            try:
                return read_library(mapped)
            except DamagedBundle as error:
                raise _Broken(str(error)) from None


def judge(objects: list[CodeObject], gfx: str) -> tuple[list[str], list[str]]:
    """What is wrong with the code objects of one library, and what is only doubtful."""
    wrong, doubtful = [], []
    for entry_id, target, elf_target in objects:
        if target is None:
            doubtful.append(f"{entry_id} names no AMD GPU")
        elif not runs_on(target, gfx):
            wrong.append(f"it holds code for {target}, the image is for {gfx}")
        elif elf_target is None:
            wrong.append(f"the entry for {target} holds no AMD GPU code object")
        elif elf_target != target:
            wrong.append(f"the entry for {target} holds code for {elf_target}")
        elif target != gfx:
            doubtful.append(f"it holds code for {target}, which runs on {gfx} but not at its best")
    if (
        objects
        and not any(target and runs_on(target, gfx) for _, target, _ in objects)
        and not wrong
    ):
        wrong.append(f"it holds no code for {gfx}")
    return list(dict.fromkeys(wrong)), list(dict.fromkeys(doubtful))
