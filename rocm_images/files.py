"""Writes files whole or not at all: the one writer of everything that the program leaves."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from rocm_images.errors import InputError
from rocm_images.masking import masked_document


def write_whole(path: Path, text: str, *, lasting: bool = True, hint: str = "") -> None:
    """Write a text file; a reader sees the whole of the old one or the whole of the new one.

    Args:
        path: its folder is made where it is missing.
        text: written as UTF-8, its line ends as they are.
        lasting: whether the text must outlive a power cut, which takes a while for each file.
        hint: what to do where it cannot be written.

    Raises:
        InputError: it cannot be written; what was there before is as it was.
    """
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own: two runs at once must not write into each other's file.
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        partial = Path(name)
        with os.fdopen(number, "wb") as file:
            file.write(text.encode())
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        # mkstemp lets nobody else read it, and this is for everyone.
        partial.chmod(0o644)
        partial.replace(path)
    except OSError as error:
        told = f"{path}: cannot write it ({error.strerror})"
        raise InputError(f"{told}: {hint}" if hint else told) from None
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document, indented, as `write_whole`; credentials in its texts are masked."""
    write_whole(path, json.dumps(masked_document(document), indent=2) + "\n")
