"""Makes an empty stand-in wheel for each NAME==VERSION: `make_wheels.py FOLDER NAME==VERSION...`.

Runs inside the stand-in base image.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

SETUP = """
from setuptools import setup
setup(name={name!r}, version={version!r}, py_modules=[], description="a stand-in: it holds nothing")
"""


def main(folder: str, *packages: str) -> None:
    """Write the wheels to `folder`."""
    for package in packages:
        name, _, version = package.partition("==")
        with tempfile.TemporaryDirectory() as source:
            Path(source, "setup.py").write_text(SETUP.format(name=name, version=version))
            subprocess.run(
                [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps"]
                + ["--wheel-dir", folder, source],
                check=True,
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
