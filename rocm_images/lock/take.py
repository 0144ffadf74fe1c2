"""Writes a newer base into the text of a matrix, below the newest of its kind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from rocm_images.errors import InputError
from rocm_images.files import write_whole
from rocm_images.lock.newer import NewerBase
from rocm_images.matrix.schema import Matrix


def newest_of(matrix: Matrix, bases: Sequence[NewerBase]) -> NewerBase | None:
    """The newest that everything fits, or else the newest.

    Another image of a base that is there is none: it would be another base of the same name.
    """
    others = [one for one in bases if one.rocm not in matrix.bases]
    fitting = (one for one in others if not any(each.cannot for each in one.consequences))
    return next(fitting, next(iter(others), None))


def take(path: Path, matrix: Matrix, one: NewerBase) -> Matrix:
    """The matrix with a base, which its file has from then on; every other byte is as it was.

    Raises:
        InputError: the file cannot be written, or its bases are not written as blocks.
    """
    text = path.read_bytes().decode("utf-8")
    write_whole(path, with_base(text, one, str(path)))
    return matrix.model_copy(update={"bases": {**matrix.bases, one.rocm: one.base}})


def with_base(text: str, one: NewerBase, name: str) -> str:
    """The text of a matrix with the block of one more base.

    Raises:
        InputError: its bases are not written as blocks.
    """
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    # With the end that the file's lines have, and the last one too.
    end = "\r\n" if "\r\n" in text else "\n"
    place = _end_of(lines, one.instead_of)
    if place is None:
        raise InputError(
            f"{name}: `bases` is not written as one block for each base, so that none can be "
            "added: add it by hand"
        )
    at, own = place
    block = (
        f"{own}{one.rocm}:",
        f"{own}{own}image: {one.base.image}",
        f'{own}{own}python: "{one.base.python}"',
        f"{own}{own}torch: {one.base.torch}",
    )
    head = lines[:at]
    if not head[-1].endswith("\n"):
        head[-1] += end
    return "".join([*head, *(line + end for line in block), *lines[at:]])


def _end_of(lines: Sequence[str], base: str) -> tuple[int, str] | None:
    """After which line the block of a base ends, and how far in its key is."""
    own, last, within = "", None, False
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].rstrip()
        if not words:
            continue
        deep = len(words) - len(words.lstrip(" "))
        if not own:
            within = words == "bases:" or (within and deep > 0)
            if within and re.fullmatch(rf" +(['\"]?){re.escape(base)}\1:", words):
                own, last = " " * deep, None
        elif deep > len(own):
            last = number
        else:
            break
    return (last, own) if last else None
