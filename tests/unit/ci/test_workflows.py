"""The workflows hold no logic, no more permissions than their jobs need, and no moving action.

What zizmor and actionlint see is theirs to say (`make lint`); this is what they do not ask for.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rocm_images.cli.main import main

PROJECT = Path(__file__).resolve().parents[3]
FOLDER = PROJECT / ".github" / "workflows"
WORKFLOWS: dict[str, dict[Any, Any]] = {
    path.name: yaml.safe_load(path.read_text()) for path in sorted(FOLDER.glob("*.yml"))
}
JOBS = [
    pytest.param(name, job, id=f"{name}-{key}")
    for name, workflow in WORKFLOWS.items()
    for key, job in workflow["jobs"].items()
]
COMMANDS = [
    step["run"]
    for workflow in WORKFLOWS.values()
    for job in workflow["jobs"].values()
    for step in job.get("steps", [])
    if "run" in step
]
# One program, its arguments, nothing that a shell would act on but variables.
COMMAND = re.compile(r"(sudo )?(make [a-z -]+|\.venv/bin/python build\.py [^|;&<>`(]+)")


def steps(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from job.get("steps", [])


def test_the_workflows_are_the_ones_that_the_documents_name() -> None:
    document = (PROJECT / "docs" / "ci.md").read_text()
    assert set(re.findall(r"`(\w+\.yml)`", document)) == {*WORKFLOWS, "dependabot.yml"}


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_each_step_is_one_command_that_can_be_run_at_a_desk(name: str, job: dict[str, Any]) -> None:
    for step in steps(job):
        assert ("run" in step) != ("uses" in step)
        assert COMMAND.fullmatch(step.get("run", "make lint")), step["run"]
        # Nor is an expression written into a command: its value could be one.
        assert "${{" not in step.get("run", "")


@pytest.mark.parametrize("command", sorted({c for c in COMMANDS if "build.py" in c}))
def test_each_command_of_build_py_is_understood(command: str) -> None:
    words = shlex.split(command)
    arguments = words[words.index("build.py") + 1 :]
    name = arguments[0] if not arguments[0].startswith("-") else "build"
    main.commands[name].make_context(name, arguments[1:] if name in arguments else arguments)


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_each_job_ends_at_a_time_and_says_which_permissions_it_needs(
    name: str, job: dict[str, Any]
) -> None:
    assert "permissions" in job
    # A called workflow's jobs have times of their own.
    assert ("timeout-minutes" in job) != ("uses" in job)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_each_workflow_has_no_permission_by_itself_and_runs_once_at_a_time(name: str) -> None:
    workflow = WORKFLOWS[name]
    assert workflow["permissions"] == {}
    # YAML 1.1 reads the key `on` as true. A called workflow is in the group of its caller.
    assert "concurrency" in workflow or set(workflow[True]) == {"workflow_call"}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_each_action_is_pinned_by_its_commit_and_says_which_version_that_is(name: str) -> None:
    found = re.findall(r"uses: (?!\./)(.*)", (FOLDER / name).read_text())
    for line in found:
        assert re.match(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line
    versions = {line.split("@")[0]: line for line in found}
    # One version of each action, so that an update is one line everywhere.
    assert set(versions.values()) == set(found)


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_no_checkout_leaves_its_token_behind(name: str, job: dict[str, Any]) -> None:
    for step in steps(job):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def holders(permission: str, value: str) -> set[tuple[str, str]]:
    return {
        (name, key)
        for name, workflow in WORKFLOWS.items()
        for key, job in workflow["jobs"].items()
        if job["permissions"].get(permission) == value
    }


def test_only_jobs_that_sign_or_deploy_the_page_have_an_identity() -> None:
    assert holders("id-token", "write") == {
        ("cell.yml", "test"),
        ("images.yml", "cell"),
        ("images.yml", "publish"),
        ("images.yml", "pages"),
        ("pages.yml", "deploy"),
    }


def test_only_the_pull_request_of_the_lock_is_written_to_the_repository() -> None:
    assert holders("contents", "write") == {("lock.yml", "lock")}


def test_a_forks_pull_request_reads_and_gets_no_secret() -> None:
    started = {
        name
        for name, workflow in WORKFLOWS.items()
        if any(event.startswith("pull_request") for event in workflow[True])
    }
    assert started == {"ci.yml"}
    assert "pull_request_target" not in WORKFLOWS["ci.yml"][True]
    text = (FOLDER / "ci.yml").read_text()
    assert "secrets." not in text
    assert "github.token" not in text
    for job in WORKFLOWS["ci.yml"]["jobs"].values():
        assert job["permissions"] == {"contents": "read"}


def test_the_unit_tests_run_on_every_python_that_the_readme_promises() -> None:
    versions = WORKFLOWS["ci.yml"]["jobs"]["unit"]["strategy"]["matrix"]["python"]
    assert versions == ["3.10", "3.11", "3.12", "3.13"]


def test_an_empty_matrix_starts_no_job_and_still_publishes() -> None:
    jobs = WORKFLOWS["images.yml"]["jobs"]
    assert jobs["cell"]["if"] == "needs.plan.outputs.count != '0'"
    # A job whose `needs` was skipped is skipped, unless its condition says otherwise.
    assert jobs["publish"]["if"] == "${{ !cancelled() && !failure() }}"
    assert jobs["cell"]["strategy"]["fail-fast"] is False


def test_a_cells_job_gets_what_ci_matrix_gives_it() -> None:
    inputs = WORKFLOWS["cell.yml"][True]["workflow_call"]["inputs"]
    assert set(inputs) == set(WORKFLOWS["images.yml"]["jobs"]["cell"]["with"])


@pytest.mark.parametrize("target", ["environment", "lint", "unit", "emulation", "pipeline"])
def test_what_make_test_checks_is_what_ci_checks(target: str) -> None:
    done = [
        step.get("run", "") for job in WORKFLOWS["ci.yml"]["jobs"].values() for step in steps(job)
    ]
    assert any(command.removeprefix("sudo ") == f"make {target}" for command in done)
    rule = re.search(r"^test: (.*?)(?: ##.*)?$", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert rule
    assert set(rule[1].split()) == {"lint", "unit", "emulation", "pipeline"}
