"""Real wheels from PyPI, downloaded once, into .cache/wheels."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".cache" / "wheels"


def downloaded(name: str, version: str, python: str) -> Path:
    """The wheel for 64-bit Linux and one version of Python, which need not be this one."""
    CACHE.mkdir(parents=True, exist_ok=True)
    pattern = f"{name}-{version}-*.whl"
    if not list(CACHE.glob(pattern)):
        platforms = ("any", "manylinux_2_24_x86_64", "manylinux_2_28_x86_64")
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download"]
        command += ["--quiet", "--no-deps", "--only-binary=:all:", f"--python-version={python}"]
        command += [f"--platform={platform}" for platform in (*platforms, "manylinux_2_34_x86_64")]
        command += [f"--dest={CACHE}", f"{name}=={version}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    (wheel,) = CACHE.glob(pattern)
    return wheel
