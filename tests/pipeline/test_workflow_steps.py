"""The commands of ci.yml, in their order, in a clean checkout; and that its checks can fail."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from conftest import PROJECT, Answer
from rocm_images.engine.connect import Engine
from rocm_images.plan.load import load
from workflow_files import WORKFLOWS

# This test is a part of what one of them runs, and `make test` has run the others on this commit.
# `make test` runs these in its other lane.
LEFT_OUT = {"make lint", "make docs", "make unit", "sudo make emulation", "sudo make pipeline"}
STEP_SECONDS = 900
PINNED = "uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"
# What one `make` tells another, and what the tests' own environment says of this checkout.
_NOT_PASSED_ON = ("MAKE", "MFLAGS", "VIRTUAL_ENV", "PYTHON", "PYTEST", "ROCM_IMAGES", "GITHUB_")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of HEAD: nothing of this checkout but what is committed, and its environment."""
    folder = tmp_path_factory.mktemp("clean") / "checkout"
    subprocess.run(["git", "clone", "--quiet", PROJECT, folder], check=True)
    # `make test` has made this commit's environment a moment ago: two minutes, were it made again.
    for name in (".venv", ".cache/workflow-lint"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to((PROJECT / name).resolve())
    # `make test` has checked the same files' types, too: mypy compares them by content.
    known = PROJECT / ".mypy_cache"
    if known.is_dir():
        shutil.copytree(known, folder / ".mypy_cache")
    (folder / ".git" / "info" / "exclude").write_text("/.venv\n")
    for name in (
        "requirements.txt",
        "requirements-dev.txt",
        ".github/workflow-lint/package-lock.json",
    ):
        os.utime(folder / name, (0, 0))
    return folder


def commands() -> list[str]:
    """Every command of ci.yml, in the order of the file."""
    steps = [step for job in WORKFLOWS["ci.yml"]["jobs"].values() for step in job["steps"]]
    return [step["run"] for step in steps if "run" in step]


def run(checkout: Path, command: str, more: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run a step as GitHub does: with bash, which ends at the first failure."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_PASSED_ON)}
    if os.geteuid() == 0:
        command = command.removeprefix("sudo ")
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", command],
        cwd=checkout,
        env={**environment, "CI": "true", **more},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=STEP_SECONDS,
        check=False,
    )


def test_the_steps_of_ci_yml_pass_in_a_clean_checkout(
    rehearsed: Answer, real_engine: Engine, checkout: Path
) -> None:
    summary = checkout / ".cache" / "step-summary.md"
    # As after the step that is left out: the engine has the images, and they were tested.
    environment = {
        "GITHUB_STEP_SUMMARY": str(summary),
        "DOCKER_HOST": real_engine.address,
        "PATH": real_engine.environment["PATH"],
    }
    shutil.copytree(PROJECT / "build" / "evidence", checkout / "build" / "evidence")
    asked = commands()
    assert set(asked) > LEFT_OUT
    for command in asked:
        if command not in LEFT_OUT:
            done = run(checkout, command, environment)
            assert done.returncode == 0, f"{command}\n{done.stdout}"
    matrix = load(PROJECT / "matrix.yaml")
    number = len({base.sdk is None for base in matrix.bases.values()}) * len(matrix.servers)
    assert f"## Images: {number} of {number} good" in summary.read_text()
    # Nothing that a step makes is taken for a part of the project.
    left = subprocess.run(
        ["git", "-C", checkout, "status", "--porcelain"], capture_output=True, check=True
    )
    assert left.stdout == b""


@pytest.mark.parametrize(
    "changes",
    [
        # zizmor: an action that its owner can change; a token that stays in the checkout.
        {
            PINNED: ("uses: actions/checkout@v7", "unpinned-uses"),
            "persist-credentials: false": ("fetch-depth: 1", "artipacked"),
        },
        # actionlint: a name that no expression has; a job that nobody defined.
        {
            "matrix.python }}": ("matrix.pithon }}", 'property "pithon" is not defined'),
            "    timeout-minutes: 15": ("    needs: nobody\n    timeout-minutes: 15", "nobody"),
        },
    ],
    ids=["zizmor", "actionlint"],
)
def test_lint_refuses_a_workflow_that_is_unsafe_or_wrong(
    checkout: Path, changes: Mapping[str, tuple[str, str]]
) -> None:
    path = checkout / ".github" / "workflows" / "ci.yml"
    before = after = path.read_text()
    for old, (new, _) in changes.items():
        assert old in after
        after = after.replace(old, new, 1)
    path.write_text(after)
    try:
        done = run(checkout, "make lint", {})
    finally:
        path.write_text(before)
    assert done.returncode != 0
    for _, complaint in changes.values():
        assert complaint in done.stdout
