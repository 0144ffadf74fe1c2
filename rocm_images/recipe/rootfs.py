"""What is copied into every image: the program's files, and the project's own over them."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from rocm_images import telling
from rocm_images.errors import InputError
from rocm_images.files import cannot_write
from rocm_images.places import PROJECT, ROOTFS
from rocm_images.recipe.build_id import files_of

OWN = PROJECT / "images" / "rootfs"
"""The program's too, in a checkout."""


def rootfs() -> Path:
    """The build context: the program's folder, or one in which the project's files lie over it.

    That one is named by what it holds, so the build id covers both, and no run changes what another
    one builds from.

    Raises:
        InputError: a file cannot be read or copied; it is named.
    """
    if OWN == ROOTFS or not OWN.is_dir():
        return ROOTFS
    content = repr((files_of(ROOTFS), files_of(OWN)))
    folder = PROJECT / ".cache" / "rootfs" / hashlib.sha256(content.encode()).hexdigest()[:12]
    telling.decided(f"rootfs: {OWN} over the program's, in {folder}")
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".", dir=folder.parent) as made:
            for source in (ROOTFS, OWN):
                shutil.copytree(
                    source,
                    Path(made, "whole"),
                    symlinks=True,
                    ignore=shutil.ignore_patterns("__pycache__", ".git"),
                    dirs_exist_ok=True,
                )
            _put(Path(made, "whole"), folder)
    except shutil.Error as error:
        raise InputError(f"{OWN}: cannot copy it: {error.args[0][0][2]}") from None
    except OSError as error:
        raise cannot_write(Path(error.filename or folder), error) from None
    return folder


def _put(made: Path, folder: Path) -> None:
    """Gives a folder its name; another run that was faster made the same one."""
    try:
        made.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
