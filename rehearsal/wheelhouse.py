"""Real wheels for the stand-in base, downloaded once: its builds fetch nothing of PyPI."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rocm_images.errors import EngineError
from rocm_images.files import write_whole
from rocm_images.streams import GivenUp
from rocm_images.supervisor import supervisor
from rocm_images.waiting import waiting_for

_SECONDS = 1800.0
"""The most that a mirror is given."""

_REQUIREMENTS = Path(__file__).resolve().parent / "base" / "requirements.txt"


def wheelhouse(folder: Path, pins: Sequence[str]) -> Path:
    """The folder with the build tools by their hashes, and the matrix's PyPI pins.

    Raises:
        EngineError: they cannot be downloaded.
    """
    finished = folder.with_suffix(".finished")
    wanted = _REQUIREMENTS.read_text() + "\n".join(pins)
    if finished.is_file() and finished.read_text() == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    fetch(folder, "--require-hashes", f"--requirement={_REQUIREMENTS}")
    if pins:
        fetch(folder, *pins)
    write_whole(finished, wanted)
    return folder


def fetch(folder: Path, *what: str, platforms: Sequence[str] = ("any",)) -> None:
    """Have pip download wheels, and not what they require, for the base's interpreter.

    Raises:
        EngineError: they cannot be downloaded.
    """
    try:
        with waiting_for("pip, which downloads wheels") as wait:
            done = supervisor.run(
                [sys.executable, "-m", "pip", "download", "--no-deps", f"--dest={folder}"]
                # For the base's interpreter, whichever it is: nothing that is for one.
                + ["--only-binary=:all:", "--implementation=py", "--abi=none"]
                + [f"--platform={platform}" for platform in platforms]
                + ["--python-version=3.11", *what],
                seconds=_SECONDS,
                on_line=wait.at,
            )
        said = done.errors.strip() if done.status != 0 else None
    except GivenUp as error:
        said = f"it gave {error}"
    if said is not None:
        raise EngineError(
            "pip cannot download the wheels of the rehearsal; check that this machine reaches "
            f"its package index:\n{said}"
        )
