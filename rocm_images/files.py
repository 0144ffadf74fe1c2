"""Writes files whole or not at all: the one writer of everything that the program leaves."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from rocm_images.errors import REFUSALS, InputError, WriteRefused
from rocm_images.masking import masked_document


def write_whole(path: Path, text: str | bytes, *, lasting: bool = True, hint: str = "") -> None:
    """Write a file; a reader sees the whole of the old one or the whole of the new one.

    Args:
        path: its folder is made where it is missing. A pipe or a device is written to as it is.
        text: written as UTF-8, its line ends as they are; bytes as they are.
        lasting: whether the text must outlive a power cut, which takes a while for each file.
        hint: what to do where it cannot be written.

    Raises:
        WriteRefused: the disk is full or read-only, or the like.
        InputError: it cannot be written there.
        In either case what was there before is as it was.
    """
    partial = None
    content = text.encode() if isinstance(text, str) else text
    try:
        # Of a link, what it names is replaced.
        place = Path(os.path.realpath(path))
        if place.exists() and not place.is_file() and not place.is_dir():
            with place.open("wb") as file:
                file.write(content)
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own: two runs at once must not write into each other's file.
        number, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
        partial = Path(name)
        with os.fdopen(number, "wb") as file:
            file.write(content)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        # mkstemp lets nobody else read it, and this is for everyone.
        partial.chmod(0o644)
        partial.replace(place)
    except OSError as error:
        raise cannot_write(path, error, hint) from None
    finally:
        if partial is not None:
            partial.unlink(missing_ok=True)


@contextlib.contextmanager
def growing(path: Path) -> Iterator[Callable[[str], None]]:
    """Begin a log anew, for a block; what it gives appends a line, which can be read at once.

    Raises:
        WriteRefused: the disk is full or read-only, or the like.
        InputError: it cannot be written there.
    """
    with contextlib.ExitStack() as stack:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Nothing is held back, which closing it could still fail to write.
            file = stack.enter_context(path.open("wb", buffering=0))
        except OSError as error:
            raise cannot_write(path, error) from None

        def append(line: str) -> None:
            rest = f"{line}\n".encode(errors="replace")
            try:
                while rest:
                    rest = rest[os.write(file.fileno(), rest) :]
            except OSError as error:
                raise cannot_write(path, error) from None

        yield append


def check_folder(folder: Path) -> None:
    """Make a folder where it is missing, and try whether files can be written there.

    For what is written after hours only.

    Raises: see `write_whole`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\n")
    except OSError as error:
        raise cannot_write(folder, error) from None


def cannot_write(path: Path, error: OSError, hint: str = "") -> InputError:
    """The sentence for a file that cannot be written, with the exit code of who refuses."""
    kind = WriteRefused if error.errno in REFUSALS else InputError
    told = f"{path}: cannot write it ({error.strerror or error})"
    return kind(f"{told}: {hint}" if hint else told)


_REASONS = {os.strerror(number).lower(): hint for number, hint in REFUSALS.items()}


def refusal_in(said: str, folder: Path | None = None) -> WriteRefused | None:
    """That the system refused a child something in its folder, or in that of passing files.

    Go's programs say `write /tmp/a/b: no space left on device`. Of another path it may be somebody
    else's machine that says so, as a registry's whose disk is full.

    Args:
        said: the line with its reason.
        folder: what it was to read or write.
    """
    ours = "|".join(re.escape(str(one)) for one in (tempfile.gettempdir(), folder) if one)
    reasons = "|".join(sorted(_REASONS, key=len, reverse=True))
    found = re.search(rf"(?<![\w.-])((?:{ours})(?:/[^\n:]*)?): ({reasons})\b", said, re.I)
    if found is None:
        return None
    return WriteRefused(f"{found[1]}: the system refuses: {found[2]}: {_REASONS[found[2].lower()]}")


def write_json(path: Path, document: object) -> None:
    """Write a JSON document, indented, as `write_whole`; credentials in its texts are masked."""
    write_whole(path, json.dumps(masked_document(document), indent=2) + "\n")
