"""The steps of build.yml as another repository calls it: in a folder that `rocm-images init` began.

Nothing can be built or signed without a key here: those steps run until they lack an
engine or an image.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import site
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkouts import copied

from conftest import Keys
from registry import Registry
from rocm_images.errors import ExitCode
from workflow_files import WORKFLOWS

PROJECT = Path(__file__).resolve().parents[2]
WORKFLOW = WORKFLOWS["build.yml"]
# What one `make` tells another, and what the tests' own environment says of this checkout.
_NOT_PASSED_ON = ("GITHUB_", "MAKE", "MFLAGS", "PYTHON", "ROCM_IMAGES_", "VIRTUAL_ENV")
CALLER, PROGRAM, COMMIT = "an-owner/their.images", "some-owner/program", "0123456789" * 4
Step = Callable[..., subprocess.CompletedProcess[str]]


def steps(job: str) -> dict[str, str]:
    """The commands of a job, by their names, in its order."""
    return {one["name"]: one["run"] for one in WORKFLOW["jobs"][job]["steps"] if "run" in one}


def evaluated(text: str, known: Mapping[str, str]) -> str:
    """A text as GitHub passes it on; every expression in it has to be known."""
    return re.sub(r"\$\{\{ (.*?) \}\}", lambda found: known[found[1]], text)


@pytest.fixture
def step(registry: Registry, keys: Keys, tmp_path: Path) -> Step:
    """Runs the command of a step as GitHub does, in the caller's checkout."""
    workspace = tmp_path / "workspace"
    program = workspace / ".cache" / "program"
    program.mkdir(parents=True)
    # The second checkout of each job.
    copied(program)
    # With an environment that has what this one was made from, as of a moment ago.
    subprocess.run([sys.executable, "-m", "venv", program / ".venv"], check=True)
    (own,) = (program / ".venv" / "lib").glob("python*/site-packages")
    (own / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    for name in ("requirements", "requirements-build"):
        os.utime(program / f"{name}.txt", (0, 0))
        (program / ".venv" / f".made-from-{name}").touch()
    registry_of = "inputs.registry || format('ghcr.io/{0}', github.repository_owner)"
    known = {
        "inputs.program": PROGRAM,
        "inputs.program-ref": COMMIT,
        "inputs.server": WORKFLOW[True]["workflow_call"]["inputs"]["server"]["default"],
        "inputs.channel": "preview",
        "inputs.runner": WORKFLOW[True]["workflow_call"]["inputs"]["runner"]["default"],
        "github.repository": CALLER,
        "github.ref": "refs/heads/main",
        "github.workspace": str(workspace),
        registry_of: registry.address,
    }
    around = {**os.environ, **keys.environment}
    kept = {k: v for k, v in around.items() if not k.startswith(_NOT_PASSED_ON)}

    def run(job: str, name: str, **matrix: str) -> subprocess.CompletedProcess[str]:
        given = {**known, **{f"matrix.{key}": value for key, value in matrix.items()}}
        asked = {**WORKFLOW["env"], **WORKFLOW["jobs"][job].get("env", {})}
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", steps(job)[name]],
            cwd=workspace,
            env={
                **kept,
                **{key: evaluated(value, given) for key, value in asked.items()},
                "CI": "true",
                "DOCKER_HOST": "unix:///proc/absent",
                "GITHUB_OUTPUT": str(tmp_path / "output"),
                "GITHUB_STEP_SUMMARY": str(tmp_path / "page.md"),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    installed = run("plan", "Program")
    assert installed.returncode == 0, installed.stderr
    begun = [program / ".venv" / "bin" / "rocm-images", "init"]
    subprocess.run(begun, cwd=workspace, check=True, capture_output=True)
    return run


def outputs(folder: Path) -> dict[str, Any]:
    """What the steps gave to GitHub, each on a line of its own."""
    lines = (folder / "output").read_text().splitlines()
    return {name: json.loads(value) for name, _, value in (line.partition("=") for line in lines)}


def test_its_steps_work_on_the_callers_own_matrix(step: Step, tmp_path: Path) -> None:
    planned = step("plan", "Cells")
    assert planned.returncode == 0, planned.stderr
    given = outputs(tmp_path)
    include = given["matrix"]["include"]
    assert given["count"] == len(include) > 0
    # The channel takes emulated GPUs: no job waits for a machine that has others.
    assert {tuple(one["runner"]) for one in include} == {
        ("self-hosted", "linux", "x64", "image-builder")
    }
    # The plan is of the caller's folder.
    left = tmp_path / "workspace" / "build" / "ci-matrix.json"
    assert left.exists()

    cell = {key: include[0][key] for key in ("server", "arch", "base")}
    built = step("cell", "Build and test", **cell)
    assert built.returncode == ExitCode.ENGINE_UNUSABLE, built.stderr
    pushed = step("cell", "Push", **cell)
    assert pushed.returncode == ExitCode.PUBLISH_REFUSED, pushed.stderr
    assert include[0]["cell"] in pushed.stderr
    published = step("publish", "Publish")
    assert published.returncode == ExitCode.PUBLISH_REFUSED, published.stderr

    run = left.with_name("run") / "run-0-plan"
    run.mkdir(parents=True)
    left.rename(run / left.name)
    assert step("summary", "Summary").returncode == 0
    assert "## Images" in (tmp_path / "page.md").read_text()


def test_each_job_installs_the_program_in_the_same_way() -> None:
    for job in WORKFLOW["jobs"]:
        name, command = next(iter(steps(job).items()))
        assert (name, command) == ("Program", steps("plan")["Program"])
        (program,) = (
            one["with"]
            for one in WORKFLOW["jobs"][job]["steps"]
            if one.get("with", {}).get("repository")
        )
        assert program["path"] == WORKFLOW["env"]["PROGRAM"].rpartition("workspace }}/")[2]


def test_the_call_in_the_document_gives_what_is_required() -> None:
    text = (PROJECT / "docs" / "ci.md").read_text()
    calls = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    (job,) = (one for call in calls for one in call["jobs"].values() if "uses" in one)
    inputs = WORKFLOW[True]["workflow_call"]["inputs"]
    assert {name for name, one in inputs.items() if one.get("required")} <= set(job["with"])
    assert set(job["with"]) <= set(inputs)
    program, _, rest = job["uses"].partition("/.github/workflows/build.yml@")
    assert (job["with"]["program"], job["with"]["program-ref"]) == (program, rest.split()[0])
    # What the called jobs may do at most, the caller has to allow.
    wanted = {
        key: value
        for one in WORKFLOW["jobs"].values()
        for key, value in one["permissions"].items()
        if value == "write" or key == "contents"
    }
    assert job["permissions"] == wanted


def test_whoever_is_to_be_trusted_is_the_one_that_the_workflow_trusts() -> None:
    text = (PROJECT / "docs" / "ci.md").read_text()
    known = {
        "inputs.program": "OWNER/rocm-serving-images",
        "inputs.program-ref": "COMMIT",
        "github.repository": "YOU/images",
        "github.ref": "refs/heads/main",
    }
    identity = evaluated(WORKFLOW["env"]["IDENTITY"], known)
    assert f"--identity {shlex.quote(identity)}" in " ".join(text.split())
