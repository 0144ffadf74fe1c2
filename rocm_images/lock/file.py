"""What matrix.lock holds: the digest of every base image's tag, the commit of every git ref.

An entry is keyed by what was asked for, not by a name of the matrix: once the matrix asks for
another tag or ref, the old entry cannot be taken for its answer. The file is YAML with one sorted
line for each entry, so that a change of one entry is a change of one line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from rocm_images import references, telling
from rocm_images.errors import InputError, LockError
from rocm_images.files import write_whole
from rocm_images.matrix.located_model import read_model
from rocm_images.matrix.schema import Source
from rocm_images.matrix.types import ImageText

SCHEMA = "1"
_HEADER = """\
# What the names of {matrix} stood for when `python build.py lock` asked: the digest of each base
# image, the commit of each git ref. Written by that command, to be committed.
"""
# A repository in git's newer object format has commits of 64 digits.
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)
_SOURCE_KEY = re.compile(r"https://[^\s#]+#[^\s#]+", re.ASCII)


def digest(text: str) -> str:
    """Returns the text when it is an image's digest.

    Raises:
        ValueError: it is not.
    """
    if not re.fullmatch(references.DIGEST, text):
        raise ValueError(f"{text!r} is not a digest: sha256: and 64 hex digits")
    return text


def is_commit(text: str) -> bool:
    """Whether the text is a full commit, and not a tag, a branch or the beginning of a commit."""
    return _COMMIT.fullmatch(text) is not None


def _commit(text: str) -> str:
    if not is_commit(text):
        raise ValueError(f"{text!r} is not a full commit: 40 (or 64) hex digits")
    return text


def _schema(text: str) -> str:
    if text != SCHEMA:
        raise ValueError(f"this program reads schema {SCHEMA}, not {text!r}")
    return text


def _source_key(text: str) -> str:
    if not _SOURCE_KEY.fullmatch(text):
        raise ValueError(f"{text!r} is not a git address and ref: https://...#REF")
    return text


class Lock(BaseModel):
    """The whole of matrix.lock: `NAME:TAG` to digest, and `ADDRESS#REF` to commit."""

    # Deferred, so that a run without a lock builds no validator for one.
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)

    schema_number: Annotated[str, AfterValidator(_schema)] = Field(alias="schema")
    bases: dict[ImageText, Annotated[str, AfterValidator(digest)]]
    sources: dict[
        Annotated[str, AfterValidator(_source_key)], Annotated[str, AfterValidator(_commit)]
    ]

    @property
    def entries(self) -> dict[str, str]:
        """Every key with what it stands for; no image reference looks like a git address."""
        return {**self.bases, **self.sources}


EMPTY = Lock.model_construct(schema_number=SCHEMA, bases={}, sources={})


def source_key(source: Source) -> str:
    """The key of a git source's entry."""
    return f"{source.git}#{source.ref}"


def path_of(matrix_path: Path) -> Path:
    """Where the lock of a matrix file lies: beside it, matrix.lock for matrix.yaml.

    Raises:
        InputError: the matrix file itself has that name.
    """
    path = matrix_path.with_suffix(".lock")
    if path == matrix_path:
        raise InputError(f"{path} would be its own lock: give the matrix another ending")
    return path


def read(path: Path) -> Lock:
    """The lock at `path`; an empty one where there is no file.

    Raises:
        InputError: the file cannot be read.
        LockError: something in it is wrong; it lists every problem with its place.
    """
    if not path.exists():
        telling.decided(f"lock: there is no {path}")
        return EMPTY
    telling.decided(f"lock: {path}")
    return read_model(path, Lock, LockError, hint="restore the committed lock")[0]


def text_of(lock: Lock, matrix_name: str) -> str:
    """The lock as it is written to its file."""
    lines = [f"schema: {lock.schema_number}"]
    for name, entries in (("bases", lock.bases), ("sources", lock.sources)):
        lines.append(f"{name}:" if entries else f"{name}: {{}}")
        lines += [f"  {_scalar(key)}: {_scalar(entries[key])}" for key in sorted(entries)]
    return _HEADER.format(matrix=matrix_name) + "\n".join(lines) + "\n"


def _scalar(text: str) -> str:
    """The text as YAML; quoted only where it would be something else, as 40 decimal digits."""
    written: str = yaml.safe_dump(text, width=float("inf"))
    return written.splitlines()[0]


def write(path: Path, lock: Lock, matrix_name: str) -> None:
    """Write the lock, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    write_whole(path, text_of(lock, matrix_name))


def locked_base(lock: Lock, image: str) -> str | None:
    """The base image by its digest, `NAME:TAG@sha256:...`; None without an entry."""
    if "@" in image:
        return image
    found = lock.bases.get(image)
    return f"{image}@{found}" if found else None


def locked_commit(lock: Lock, source: Source) -> str | None:
    """The full commit of a git source; None without an entry for its address and ref."""
    if is_commit(source.ref):
        return source.ref
    return lock.sources.get(source_key(source))


def locked_contexts(lock: Lock, image: str, sources: Mapping[str, Source]) -> dict[str, str]:
    """The named contexts that hold a build of these sources on this base image to the lock.

    The Dockerfile names tag and ref, and stays the same bytes whatever the lock says. What names
    its own digest or commit there, or has no entry, needs no context.
    """
    contexts = {}
    base = locked_base(lock, image)
    if base not in (None, image):
        contexts[image] = references.CONTEXT + base
    for name, source in sources.items():
        found = locked_commit(lock, source)
        if found not in (None, source.ref):
            contexts[f"{name}-src"] = f"{source.git}#{found}"
    return contexts
