"""Packs a ROCm folder as AMD's SDK does: `make_wheels.py /opt/rocm FOLDER`, in the stand-in base.

rocm-sdk-devel holds it as _rocm_sdk_devel, and a second copy of the libamd_smi of rocm-sdk-core, as
`rocm-sdk init` leaves it; rocm has that command.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SETUP = """
from setuptools import setup
setup(
    name={name!r}, version={version!r}, packages=[{package!r}], include_package_data=False,
    package_data={{{package!r}: ["**/*", ".info/*"]}},
    entry_points={{"console_scripts": {scripts!r}}},
)
"""
COMMAND = """
def main():
    print("a stand-in for rocm-sdk: there is nothing to prepare")
"""


def main(rocm: str, wheels: str) -> None:
    """Write the wheels to the folder."""
    with tempfile.TemporaryDirectory() as folder:
        devel = _source(folder, "rocm-sdk-devel", "_rocm_sdk_devel")
        shutil.copytree(rocm, devel, dirs_exist_ok=True)
        core = _source(folder, "rocm-sdk-core", "_rocm_sdk_core")
        (core / "lib").mkdir()
        for library in (devel / "lib/libamd_smi.so", core / "lib/libamd_smi.so.26"):
            library.write_text("a stand-in for libamd_smi: it holds nothing\n")
        command = _source(folder, "rocm", "rocm_sdk", ["rocm-sdk=rocm_sdk:main"])
        (command / "__init__.py").write_text(COMMAND)
        for source in (devel, core, command):
            words = ["-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-cache-dir"]
            subprocess.run(
                [sys.executable, *words, "--wheel-dir", wheels, str(source.parent)], check=True
            )


def _source(folder: str, name: str, package: str, scripts: list[str] | None = None) -> Path:
    """The folder of a distribution's one package, which is empty as yet."""
    path = Path(folder, name, package)
    path.mkdir(parents=True)
    (path / "__init__.py").touch()
    setup = SETUP.format(
        name=name, version=os.environ["ROCM_VERSION"], package=package, scripts=scripts or []
    )
    (path.parent / "setup.py").write_text(setup)
    return path


if __name__ == "__main__":
    main(*sys.argv[1:])
