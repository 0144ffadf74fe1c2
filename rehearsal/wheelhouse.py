"""Real wheels for the stand-in base, downloaded once: its builds fetch nothing of PyPI."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rocm_images.errors import EngineError
from rocm_images.files import write_whole

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
    _pip_download(folder, "--require-hashes", f"--requirement={_REQUIREMENTS}")
    if pins:
        _pip_download(folder, *pins)
    write_whole(finished, wanted)
    return folder


def _pip_download(folder: Path, *what: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={folder}"]
        # For the base's interpreter, whichever it is: pure Python only.
        + ["--only-binary=:all:", "--platform=any", "--implementation=py", "--abi=none"]
        + ["--python-version=3.11", *what],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise EngineError(
            "pip cannot download the wheels of the stand-in base; check that this machine reaches "
            f"its package index:\n{done.stderr.strip()}"
        )
