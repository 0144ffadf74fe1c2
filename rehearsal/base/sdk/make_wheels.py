"""Packs a ROCm folder as AMD's SDK does: `make_wheels.py /opt/rocm FOLDER`, in the stand-in base.

rocm-sdk-devel holds it as _rocm_sdk_devel, rocm-sdk-core the command `rocm-sdk`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

VERSION = os.environ["ROCM_VERSION"]
DEVEL = f"""
from setuptools import setup
setup(
    name="rocm-sdk-devel", version={VERSION!r}, packages=["_rocm_sdk_devel"],
    package_data={{"_rocm_sdk_devel": ["**/*", ".info/*"]}}, include_package_data=False,
)
"""
CORE = f"""
from setuptools import setup
setup(
    name="rocm-sdk-core", version={VERSION!r}, py_modules=["rocm_sdk_stand_in"],
    entry_points={{"console_scripts": ["rocm-sdk=rocm_sdk_stand_in:main"]}},
)
"""
COMMAND = """
def main():
    print("a stand-in for rocm-sdk: there is nothing to prepare")
"""


def main(rocm: str, wheels: str) -> None:
    """Write both wheels to the folder."""
    with tempfile.TemporaryDirectory() as folder:
        devel, core = Path(folder, "devel"), Path(folder, "core")
        shutil.copytree(rocm, devel / "_rocm_sdk_devel")
        (devel / "_rocm_sdk_devel" / "__init__.py").touch()
        (devel / "setup.py").write_text(DEVEL)
        core.mkdir()
        (core / "setup.py").write_text(CORE)
        (core / "rocm_sdk_stand_in.py").write_text(COMMAND)
        for source in (devel, core):
            words = ["-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir"]
            subprocess.run([sys.executable, *words, wheels, str(source)], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
