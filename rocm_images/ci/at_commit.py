"""The build ids that the cells had at another commit, computed by that commit's own program."""

from __future__ import annotations

import io
import os
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rocm_images.errors import InputError
from rocm_images.foreign import parsed
from rocm_images.streams import GivenUp, TookTooLong
from rocm_images.supervisor import supervisor

PLAN_SECONDS = 300.0
GIT_SECONDS = 120.0
MOST_BYTES = 1024 * 1024 * 1024
"""Of what git packs: the whole tree of a commit."""


def build_ids_at(revision: str, matrix_path: Path, words: Sequence[str]) -> dict[str, str]:
    """The build id of each cell at a commit, by the cell's name.

    The commit is unpacked into a temporary folder (nothing is added to the repository, so that
    read-only checkouts and several jobs at once work) and its own build.py makes the plan: what an
    input means there is known only to its code.

    Raises:
        InputError: no git checkout, no such commit, or its program cannot plan with this Python
            environment.
    """
    top = _git(matrix_path.parent, "rev-parse", "--show-toplevel")
    if top is None:
        raise InputError(
            f"--changed-since needs a git checkout, and {matrix_path.parent} is in none: "
            "leave it out, or use --missing-from"
        )
    root = Path(os.fsdecode(top).strip())
    commit = _commit(root, revision)
    with tempfile.TemporaryDirectory(prefix="rocm-serving-images-") as folder:
        _unpack(root, commit, Path(folder))
        matrix = Path(folder) / matrix_path.resolve().relative_to(root.resolve())
        return _planned(Path(folder), matrix, f"{revision} ({commit[:12]})", words)


def _commit(root: Path, revision: str) -> str:
    wanted = f"{revision}^{{commit}}"
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", wanted)
    if found is not None:
        return found.decode().strip()
    shallow = _git(root, "rev-parse", "--is-shallow-repository") == b"true\n"
    hint = (
        "this is a shallow clone, which may lack it: `git fetch --unshallow`, or fetch-depth: 0 of "
        "actions/checkout, or GIT_DEPTH: 0 in GitLab"
        if shallow
        else "`git fetch` it, or name a branch, a tag or a commit that exists"
    )
    raise InputError(f"--changed-since: git knows no commit {revision!r} here: {hint}")


def _unpack(root: Path, commit: str, folder: Path) -> None:
    archive = _git(root, "archive", "--format=tar", commit)
    if archive is None:
        raise InputError(
            f"--changed-since: git cannot read all of commit {commit} here: `git fetch` it whole"
        )
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        # Older patch releases of Python 3.10 and 3.11 have no filters; git wrote this archive.
        if hasattr(tarfile, "data_filter"):
            files.extractall(folder, filter="data")
        else:
            files.extractall(folder)


def _planned(folder: Path, matrix: Path, name: str, more: Sequence[str]) -> dict[str, str]:
    words = [sys.executable, "build.py", "plan", "--json", f"--matrix={matrix}", *more]
    try:
        try:
            return _build_ids(folder, [*words, "--server=all"])
        except _NoPlan as error:
            if "--server" not in str(error):
                raise
            # A program of before there were several servers knows no such option.
            return _build_ids(folder, words)
    except _NoPlan as error:
        raise InputError(
            f"--changed-since: {name} cannot be planned with its own build.py: {error}: name a "
            "later commit, or use --missing-from"
        ) from None


class _NoPlan(Exception):
    """Why another commit's program gave no build ids."""


def _build_ids(folder: Path, words: Sequence[str]) -> dict[str, str]:
    environment = {
        key: value
        for key, value in os.environ.items()
        # Neither a registry nor another checkout's modules are asked for.
        if key not in ("ROCM_IMAGES_REGISTRY", "PYTHONPATH")
    }
    try:
        done = supervisor.run(words, environment, seconds=PLAN_SECONDS, folder=folder)
        if done.status == 0:
            return {cell["cell"]: cell["build_id"] for cell in parsed(done.output)}
        last = (done.errors.strip().splitlines() or [f"it ended with {done.status}"])[-1]
    except GivenUp as error:
        last = f"it gave {error}"
    except (ValueError, KeyError, TypeError):
        last = "its plan has no build ids"
    raise _NoPlan(last)


def _git(folder: Path, *words: str) -> bytes | None:
    """What git prints; None where it fails."""
    try:
        done = supervisor.run(["git", "-C", folder, *words], seconds=GIT_SECONDS, most=MOST_BYTES)
    except OSError:
        raise InputError("--changed-since needs git, which is not installed") from None
    except TookTooLong as error:
        raise InputError(
            f"--changed-since: git {words[0]} gave {error}: see whether it waits for a lock or a "
            "network file system, and try it by hand"
        ) from None
    except GivenUp as error:
        raise InputError(
            f"--changed-since: git {words[0]} gave {error}: what is not needed to plan and build "
            "has no place beside the matrix; or use --missing-from"
        ) from None
    return done.content if done.status == 0 else None
