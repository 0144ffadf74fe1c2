"""Real wheels from PyPI, downloaded once, into .cache/wheels."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

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


def cut(name: str, version: str, *members: str) -> Path:
    """Of a wheel for 64-bit Linux that is too large to be downloaded, some members as a wheel."""
    kept = CACHE / f"cut-{name}-{version}.whl"
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        asked = urllib.request.Request(
            f"https://pypi.org/simple/{name}/",
            headers={"Accept": "application/vnd.pypi.simple.v1+json"},
        )
        with urllib.request.urlopen(asked, timeout=60) as answer:
            files = json.load(answer)["files"]
        (url,) = (
            file["url"]
            for file in files
            if file["filename"].startswith(f"{name}-{version}-")
            and file["filename"].endswith("x86_64.whl")
        )
        # Whole, whoever else is making it at the same time.
        part = kept.with_suffix(f".{os.getpid()}")
        with (
            zipfile.ZipFile(io.BufferedReader(_Remote(url), 256 * 1024)) as whole,
            zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as written,
        ):
            for member in members:
                written.writestr(member, whole.read(member))
        part.replace(kept)
    return kept


class _Remote(io.RawIOBase):
    """A file that is read over HTTP where it is asked for."""

    def __init__(self, url: str) -> None:
        self._url, self._place = url, 0
        asked = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(asked, timeout=60) as answer:
            self._size = int(answer.headers["Content-Length"])

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place}.get(whence, self._size)
        return self._place

    def readinto(self, buffer: Any) -> int:
        last = min(self._place + len(buffer), self._size) - 1
        if last < self._place:
            return 0
        wanted = {"Range": f"bytes={self._place}-{last}"}
        asked = urllib.request.Request(self._url, headers=wanted)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            assert answer.status == 206, answer.status
            content = answer.read()
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)
