"""Where build.py runs: this checkout, or a copy of it, which has a build/ of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent.parent
_SECONDS = 900


@dataclass(frozen=True)
class Answer:
    """What one run of build.py ended with."""

    code: int
    stdout: str
    stderr: str
    summary: dict[str, Any]
    """build/summary.json as this run left it, by cell; empty when it wrote none."""


@dataclass(frozen=True)
class Checkout:
    """A checkout, and the environment of what runs in it."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @property
    def build(self) -> Path:
        """What its runs write."""
        return self.folder / "build"

    def build_py(self, *words: str, environment: Mapping[str, str] | None = None) -> Answer:
        """Run its build.py, with this in its environment, too."""
        summary = self.build / "summary.json"
        summary.unlink(missing_ok=True)
        done = subprocess.run(
            [sys.executable, str(self.folder / "build.py"), *words],
            cwd=self.folder,
            env={**self.environment, **(environment or {})},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        cells = json.loads(summary.read_text())["cells"] if summary.exists() else []
        by_name = {cell["cell"]: cell for cell in cells}
        return Answer(done.returncode, done.stdout, done.stderr, by_name)


def copied(to: Path) -> Path:
    """The files that git would have, without anything that was made from them."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(words, cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        # One that is removed, and not yet from git.
        if (PROJECT / name).exists():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, to / name, follow_symlinks=False)
    return to


def beside(to: Path, environment: Mapping[str, str]) -> Checkout:
    """A copy that shares what takes long to make: the stand-in bases and what they come from."""
    copied(to)
    (to / ".cache").symlink_to(PROJECT / ".cache")
    return Checkout(to, environment)
