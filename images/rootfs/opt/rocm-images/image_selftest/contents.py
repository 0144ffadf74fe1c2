"""A digest of what makes an image the image it is, taken from inside it.

A container cannot know its image's id. What it can see is what was installed: our own programs and
the image's description, the list of Debian packages, and the record of every Python package, which
holds a hash of each of its files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

_FILES = ("opt/rocm/.info/version", "var/lib/dpkg/status")
_FOLDERS = ("opt/rocm-images", "usr/local/bin")
_RECORDS = "opt/venv/lib/python3*/site-packages/*.dist-info/RECORD"


def contents_digest(root: Path) -> str:
    """`sha256:` and the digest over path and content of each of these files, by path."""
    whole = hashlib.sha256()
    for path in sorted(set(_files(root))):
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        # A name can be any bytes.
        whole.update(f"{digest.hexdigest()}  ".encode() + os.fsencode(path.relative_to(root)))
        whole.update(b"\n")
    return f"sha256:{whole.hexdigest()}"


def _files(root: Path) -> Iterator[Path]:
    yield from (root / name for name in _FILES if (root / name).is_file())
    yield from root.glob(_RECORDS)
    for folder in _FOLDERS:
        for path in (root / folder).rglob("*"):
            # Python writes these when it runs; where it may not, they are not there.
            if path.is_file() and "__pycache__" not in path.parts:
                yield path
