"""Begins a project: a folder with a commented matrix.yaml, and the schema that its editor asks."""

from __future__ import annotations

import re
from pathlib import Path

from rocm_images.errors import InputError
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
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except FileExistsError as error:
        raise InputError(
            f"{error.filename} is there already: name another folder, or remove it to begin anew"
        ) from None
    except OSError as error:
        raise InputError(f"{error.filename}: cannot write it ({error.strerror})") from None
    return list(files)


def _moved(comment: str, command: str) -> str:
    """A comment of our matrix.yaml as it is right where there is no checkout."""
    comment = comment.replace("$schema=docs/", "$schema=").replace("python build.py", command)
    return re.sub(r"\bdocs/(?=[\w-]+\.md)", DOCUMENTS, comment)
