"""The Python files of a server's package, from a checkout, an installed package or a wheel."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from image_facts.foreign import content_of

MOST_BYTES = 8 * 1024 * 1024
"""Of one Python file. A wheel's says of itself how large it is, and need not be."""


class NoSource(Exception):
    """There is no such source at the place; the message says what was looked for."""


def python_files(place: Path, package: str) -> Iterator[tuple[str, bytes]]:
    """Name (`PACKAGE/...`) and content of each file of the package, its tests left out.

    Raises NoSource.
    """
    try:
        files = _of_wheel(place, package) if place.is_file() else _of_folder(place, package)
        for name, content in files:
            if not name.startswith(f"{package}/test/"):
                yield name, content
    # An encrypted one is a RuntimeError, an unknown compression a NotImplementedError.
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError) as error:
        raise NoSource(f"{place} cannot be read: {error}") from None


def holds(place: Path, package: str) -> bool:
    """Whether the package is there and can be read."""
    try:
        return next(python_files(place, package), None) is not None
    except NoSource:
        return False


def _of_wheel(place: Path, package: str) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(place) as wheel:
        names = [n for n in wheel.namelist() if n.startswith(f"{package}/") and n.endswith(".py")]
        if not names:
            raise NoSource(f"{place} holds no package {package}")
        for name in names:
            with wheel.open(name) as file:
                content = file.read(MOST_BYTES + 1)
            if len(content) > MOST_BYTES:
                raise NoSource(f"{place}: {name} is larger than any Python file is")
            yield name, content


def _of_folder(place: Path, package: str) -> Iterator[tuple[str, bytes]]:
    # Where the package lies in a checkout of the repository, in a site-packages folder.
    places = (place / "python" / package, place / package)
    folders = [folder for folder in places if (folder / "__init__.py").is_file()]
    if place.name == package and (place / "__init__.py").is_file():
        folders = [place]
    if not folders:
        raise NoSource(f"{place} holds no package {package}")
    for path in sorted(folders[0].rglob("*.py")):
        yield f"{package}/{path.relative_to(folders[0])}", content_of(path, MOST_BYTES)
