"""Has Renovate itself validate the preset for matrix.yaml, and read two matrices by it.

Run by `make renovate-check`: ours, and the one that `init` begins. Nothing is looked up: what it
finds in a matrix must be every base and every source that is there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(PROJECT))

from rocm_images.matrix.begin import begin  # noqa: E402
from rocm_images.matrix.schema import Matrix  # noqa: E402
from rocm_images.plan.load import load  # noqa: E402

PRESET = PROJECT / ".github" / "renovate" / "matrix.json"
SECONDS = 120
# re2 has to be compiled, which `npm ci --ignore-scripts` does not do.
QUIET = {"RENOVATE_X_IGNORE_RE2": "true"}
Found = tuple[str, ...]


def expected(matrix: Matrix) -> list[Found]:
    """What a matrix names: each base by image and tag, each source by address and ref."""
    sources = (
        (one.git, one.ref)
        for server in matrix.servers.values()
        for variants in server.sources.values()
        for one in variants
    )
    images = (
        (image, tag) for image, _, tag in (b.image.rpartition(":") for b in matrix.bases.values())
    )
    return sorted([*images, *sources])


def found_in(log: str) -> list[Found]:
    """What Renovate says in its log that it found, in the same words.

    Raises:
        ValueError: the log says nothing of it.
    """
    for line in log.splitlines():
        entry = json.loads(line)
        if "packageFiles" in entry:
            files = entry["packageFiles"].get("regex", [])
            return sorted(_named(one) for file in files for one in file["deps"])
    raise ValueError("Renovate's log says nothing of what it found")


def _named(dependency: dict[str, object]) -> Found:
    value = dependency.get("currentValue") or dependency["currentDigest"]
    prefix = "v" if dependency["depType"] == "matrix-source" else ""
    return str(dependency["packageName"]), f"{prefix}{value}"


def run(words: Sequence[str | Path], folder: Path, **environment: str) -> str:
    """Standard output of a program of Renovate's.

    Raises:
        SystemExit: it fails; with what it said.
    """
    done = subprocess.run(
        words,
        cwd=folder,
        env={**os.environ, "RENOVATE_BASE_DIR": str(folder / ".base"), **QUIET, **environment},
        stdout=subprocess.PIPE,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{done.stdout}\n{Path(words[-1]).name}: it ended with {done.returncode}")
    return done.stdout


def check(node: Path, programs: Path) -> None:
    """Validate, and read both matrices.

    Raises:
        SystemExit: something is not as it should be; with a sentence.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(
            run(
                [node, programs / "config-validator.js", "--strict", "--no-global", PRESET], folder
            ).strip()
        )
        begin(folder / "begun", "rocm-images")
        for matrix in (PROJECT / "matrix.yaml", folder / "begun" / "matrix.yaml"):
            site = folder / f"{matrix.parent.name}-site"
            site.mkdir()
            (site / "matrix.yaml").write_bytes(matrix.read_bytes())
            (site / "renovate.json").write_bytes(PRESET.read_bytes())
            subprocess.run(["git", "init", "--quiet"], cwd=site, check=True)
            subprocess.run(["git", "add", "."], cwd=site, check=True)
            words = ("--platform=local", "--dry-run=extract")
            log = run(
                [node, programs / "renovate.js", *words], site, LOG_LEVEL="debug", LOG_FORMAT="json"
            )
            found, wanted = found_in(log), expected(load(matrix))
            if found != wanted:
                missed = set(wanted) ^ set(found) or "one of them is found twice, or once"
                raise SystemExit(f"{matrix}: Renovate and the matrix differ in {missed}")
            print(f"{matrix.name} of {matrix.parent.name}: all {len(found)} are found")


if __name__ == "__main__":
    check(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute() / "node_modules/renovate/dist")
