"""The Python files of SGLang's package, from a checkout, an installed package or a wheel."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "sglang"
# Where the package lies in a checkout of the repository, in a site-packages folder.
_PLACES = (f"python/{PACKAGE}", PACKAGE)
_TESTS = f"{PACKAGE}/test/"


class NoSource(Exception):
    """There is no SGLang source at the place; the message says what was looked for."""


def python_files(place: Path) -> Iterator[tuple[str, bytes]]:
    """Name (`sglang/...`) and content of each file of the package, its tests left out.

    Raises NoSource.
    """
    try:
        files = _of_wheel(place) if place.is_file() else _of_folder(place)
        for name, content in files:
            if not name.startswith(_TESTS):
                yield name, content
    except (OSError, zipfile.BadZipFile) as error:
        raise NoSource(f"{place} cannot be read: {error}") from None


def _of_wheel(place: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(place) as wheel:
        names = [n for n in wheel.namelist() if n.startswith(f"{PACKAGE}/") and n.endswith(".py")]
        if not names:
            raise NoSource(f"{place} holds no package {PACKAGE}")
        for name in names:
            yield name, wheel.read(name)


def _of_folder(place: Path) -> Iterator[tuple[str, bytes]]:
    folders = [place / below for below in _PLACES if (place / below / "__init__.py").is_file()]
    if place.name == PACKAGE and (place / "__init__.py").is_file():
        folders = [place]
    if not folders:
        raise NoSource(f"{place} holds no package {PACKAGE}")
    for path in sorted(folders[0].rglob("*.py")):
        yield f"{PACKAGE}/{path.relative_to(folders[0])}", path.read_bytes()
