"""Begins a project: a folder with a commented matrix.yaml, and the schema that its editor asks."""

from __future__ import annotations

import os
import re
from pathlib import Path

from rocm_images.errors import InputError
from rocm_images.files import write_whole
from rocm_images.matrix.json_schema import DOCUMENTS, schema_text
from rocm_images.places import PARTS

_COMMENT = re.compile(r"^ *#.*$", re.MULTILINE)


def begin(folder: Path, command: str) -> list[Path]:
    """Write matrix.yaml, which is ours with all that is known, and matrix.schema.json.

    Args:
        folder: made where it is not there yet.
        command: how the program is called, for the comments.

    Raises:
        InputError: a file is there already, or cannot be written.
    """
    ours = (PARTS / "matrix.yaml").read_text(encoding="utf-8")
    files = {
        folder / "matrix.yaml": _COMMENT.sub(lambda one: _moved(one[0], command), ours),
        folder / "matrix.schema.json": schema_text(),
    }
    for path in files:
        if os.path.lexists(path):
            raise InputError(
                f"{path} is there already: name another folder, or remove it to begin anew"
            )
    for path, text in files.items():
        write_whole(path, text)
    return list(files)


def _moved(comment: str, command: str) -> str:
    """A comment of our matrix.yaml as it is right where there is no checkout."""
    comment = comment.replace("$schema=docs/", "$schema=").replace("python build.py", command)
    return re.sub(r"\bdocs/(?=[\w-]+\.md)", DOCUMENTS, comment)
