"""Runs rocm-preflight on a made-up root, as someone who may open devices or may not."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from made_up_image import MadeUpImage

WRONG_GFX = 21
NOBODY, VIDEO = 65534, 44


class Preflight:
    """Runs rocm-preflight with plain sh on a made-up root."""

    def __init__(self, made: MadeUpImage, programs: Path) -> None:
        self.made = made
        # Beside the root, where whoever runs it can read it.
        self.program = Path(shutil.copy(programs / "rocm-preflight", made.root.parent))

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", str(self.program), "--root", str(self.made.root), *arguments],
            env=self.made.environment,
            capture_output=True,
            text=True,
            timeout=10,
            **options,
        )

    def __call__(self, expected: int = 0, **options: Any) -> list[str]:
        """The lines that it says, its exit code having been checked."""
        done = self.run(**options)
        assert (done.returncode, done.stdout) == (expected, "")
        return done.stderr.splitlines()

    def report(self) -> dict[str, str]:
        """Name -> status of its report."""
        lines = [line.split("\t") for line in self.run("--report").stdout.splitlines()]
        assert {len(line) for line in lines} == {4}
        return {line[0]: line[1] for line in lines}


def give_devices(root: Path, mode: int) -> None:
    """The devices belong to the group video; anyone can reach the folder that they are in."""
    for path in [root / "dev/kfd", *root.glob("dev/dri/*")]:
        path.chmod(mode)
        if os.geteuid() == 0:
            os.chown(path, 0, VIDEO)
    if os.geteuid() == 0:
        temporary = Path(tempfile.gettempdir())
        for folder in (root, *root.parents):
            if folder != temporary and folder.is_relative_to(temporary):
                folder.chmod(0o755)


def someone_in(groups: list[int]) -> dict[str, Any]:
    """Root may open everything: where the tests are root's, run as someone else."""
    if os.geteuid() != 0:
        return {}
    return {"user": NOBODY, "group": NOBODY, "extra_groups": groups}
