"""No job of a workflow may do more than it needs, and no token or identity goes further."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest

from workflow_files import FOLDER, JOBS, WORKFLOWS, steps


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
        ("build.yml", "cell"),
        ("build.yml", "publish"),
        ("cell.yml", "build"),
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
    assert started == {"ci.yml", "renovate.yml"}
    for name in started:
        assert "pull_request_target" not in WORKFLOWS[name][True]
        text = (FOLDER / name).read_text()
        assert "secrets." not in text
        assert "github.token" not in text
        for job in WORKFLOWS[name]["jobs"].values():
            assert job["permissions"] == {"contents": "read"}


def evaluated(expression: str, **known: str) -> Any:
    """What GitHub makes of an expression of our own workflows; `a_b` is the value of `a.b`.

    Source: https://docs.github.com/en/actions/reference/workflows-and-actions/expressions
    """
    text = expression.removeprefix("${{").removesuffix("}}").strip()
    text = text.replace("&&", " and ").replace("||", " or ")
    text = re.sub(
        r"\b(inputs|secrets|github)\.([\w-]+)",
        lambda found: repr(known[f"{found[1]}_{found[2]}".replace("-", "_")]),
        text,
    )
    return eval(text, {"startsWith": lambda one, start: one.lower().startswith(start.lower())})


@pytest.mark.parametrize(
    ("ref", "counts"),
    [
        *(("refs/heads/main", True), ("refs/tags/v1.0", True)),
        *(("refs/heads/evil", False), ("refs/heads/main-evil", False), ("refs/tags/evil", False)),
        *(
            ("refs/heads/tags/v1", False),
            ("refs/tags/v1/evil", False),
            ("refs/pull/1/merge", False),
        ),
        # Which an expression of GitHub's would take for main.
        *(("refs/heads/Main", False), ("refs/tags/V1", False), ("", False)),
    ],
)
def test_no_branch_beside_those_that_count_is_signed_for_by_calling_a_file_of_main(
    ref: str, counts: bool
) -> None:
    # The identity of a called file has the ref that the call names after @, not the caller's,
    # whose program the file runs. build.yml, for others to call, has the caller's ref in IDENTITY.
    signs = {
        (name, key)
        for name, key in holders("id-token", "write")
        if "workflow_call" in WORKFLOWS[name][True] and name not in ("build.yml", "pages.yml")
    }
    assert signs == {("cell.yml", "build"), ("cell.yml", "test")}
    for name, key in signs:
        # Before anything of the caller's is there.
        guard = WORKFLOWS[name]["jobs"][key]["steps"][0]["run"]
        done = subprocess.run(["bash", "-e", "-c", guard], env={"GITHUB_REF": ref}, check=False)
        assert (done.returncode == 0) is counts
        (pattern,) = re.findall(r"\^(refs/.*\$)", guard)
        assert WORKFLOWS[name]["env"]["IDENTITY"].endswith(f"@{pattern}")


@pytest.mark.parametrize(
    ("registry", "is_githubs"),
    [
        *(("", True), ("ghcr.io", True), ("ghcr.io/team", True)),
        *(("registry.example.org/team", False), ("ghcr.io.example.org", False)),
        *(("ghcr.io:5000/team", False), ("ghcr.iox/team", False), ("evil.org/ghcr.io/", False)),
    ],
)
def test_the_jobs_token_goes_to_githubs_own_registry_alone(registry: str, is_githubs: bool) -> None:
    logins = 0
    for workflow in WORKFLOWS.values():
        for step in (one for job in workflow["jobs"].values() for one in steps(job)):
            if "/login-action@" not in step.get("uses", ""):
                continue
            logins += 1
            given = step["with"]
            known = {"github_token": "the job's", "inputs_registry": registry}
            if not given["registry"].startswith("${{"):
                assert given["registry"] == "ghcr.io"
                continue
            for secret in ("", "the site's"):
                got = evaluated(given["password"], secrets_registry_password=secret, **known)
                assert got == (secret or ("the job's" if is_githubs else ""))
            assert evaluated(given["registry"], **known) == (registry or "ghcr.io")
    assert logins > 3
