"""The workflows hold no logic, no more permissions than their jobs need, and no moving action.

What zizmor and actionlint see is theirs to say (`make lint`); this is what they do not ask for.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Collection, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from rocm_images.ci import github
from rocm_images.ci.work import CellWork
from rocm_images.cli.main import main
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of

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
# What a job asks before its checkout; a condition of GitHub's would not tell Main from main.
REF = '[[ "$GITHUB_REF" =~ ^refs/(heads/main|tags/v[^/]+)$ ]]'
# One program, its arguments, nothing that a shell would act on but variables.
PROGRAM = r'(?:\.venv/bin/python build\.py|"\$PROGRAM/\.venv/bin/rocm-images")'
COMMAND = re.compile(rf'(sudo )?(make (--directory "\$PROGRAM" )?[a-z -]+|{PROGRAM} [^|;&<>`(]+)')
OURS = [c for c in COMMANDS if re.match(PROGRAM, c)]
"""Those of the program itself."""


def steps(job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from job.get("steps", [])


def test_the_workflows_are_the_ones_that_the_documents_name() -> None:
    document = (PROJECT / "docs" / "ci.md").read_text()
    assert set(re.findall(r"`(\w+\.yml)`", document)) == {*WORKFLOWS, "dependabot.yml"}


def test_cosign_is_of_the_versions_that_the_tests_use_and_the_document_names() -> None:
    def versions(name: str) -> set[str]:
        return {
            step["with"]["cosign-release"]
            for job in WORKFLOWS[name]["jobs"].values()
            for step in steps(job)
            if "cosign-installer" in step.get("uses", "")
        }

    document = (PROJECT / "docs" / "publish.md").read_text()
    named = re.search(r"on GitHub with ([\d.]+) and ([\d.]+\d)\.", document)
    assert named
    assert versions("ci.yml") == {f"v{version}" for version in named.groups()}
    for name in ("build.yml", "cell.yml", "images.yml"):
        assert versions(name)
        assert versions(name) < versions("ci.yml")


@pytest.mark.parametrize(("name", "job"), JOBS)
def test_each_step_is_one_command_that_can_be_run_at_a_desk(name: str, job: dict[str, Any]) -> None:
    for step in steps(job):
        assert ("run" in step) != ("uses" in step)
        assert step.get("run") == REF or COMMAND.fullmatch(step.get("run", "make lint")), step[
            "run"
        ]
        # Nor is an expression written into a command: its value could be one.
        assert "${{" not in step.get("run", "")


def test_no_command_that_chooses_cells_leaves_a_server_out() -> None:
    chose = []
    for command in OURS:
        words = re.sub(rf"^{PROGRAM} ", "", command).split()
        verb = "build" if words[0].startswith("-") else words[0]
        if any(option.name == "servers" for option in main.commands[verb].params):
            chose.append(verb)
            if verb == "catalogue" and "--from" in words:
                continue  # of a list that is there
            assert words[words.index("--server") + 1] in ("all", '"$SERVER"'), command
    assert {*chose} >= {"build", "ci-matrix", "publish", "push"}


@pytest.mark.parametrize("command", sorted({*OURS}))
def test_each_command_of_the_program_is_understood(command: str) -> None:
    arguments = shlex.split(re.sub(rf"^{PROGRAM} ", "", command))
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


def test_the_unit_tests_run_on_every_python_that_the_documents_promise() -> None:
    versions = WORKFLOWS["ci.yml"]["jobs"]["unit"]["strategy"]["matrix"]["python"]
    first, last = versions[0], versions[-1]
    # Without a gap, from the oldest that the project asks for.
    assert versions == [f"3.{minor}" for minor in range(int(first[2:]), int(last[2:]) + 1)]
    assert f'requires-python = ">={first}"' in (PROJECT / "pyproject.toml").read_text()
    assert f"with Python {first} or later" in (PROJECT / "README.md").read_text()
    assert f"unit tests on Python {first} to {last};" in (PROJECT / "docs" / "ci.md").read_text()


def run_of_images(
    *, cells: int = 1, failing: Collection[str] = (), cancelled_in: str = ""
) -> dict[str, str]:
    """What becomes of each job of images.yml, by GitHub's rules for `needs` and `if`.

    Source: https://docs.github.com/en/actions/reference/workflows-and-actions/expressions
    """
    results: dict[str, str] = {}
    ancestors: dict[str, set[str]] = {}
    cancelled = False
    for name, job in WORKFLOWS["images.yml"]["jobs"].items():
        needs = [job["needs"]] if isinstance(job.get("needs"), str) else job.get("needs", [])
        before = {one for need in needs for one in (need, *ancestors[need])}
        ancestors[name] = before
        ended = {results[one] for one in before}
        condition = str(job.get("if", "success()")).removeprefix("${{").removesuffix("}}")
        # A condition that asks for no status asks for success, too.
        if not re.search(r"(success|failure|cancelled|always)\(\)", condition):
            condition = f"success() && ({condition})"
        for theirs, ours in (
            ("success()", str(ended <= {"success"})),
            ("failure()", str("failure" in ended)),
            ("cancelled()", str(cancelled)),
            ("&&", " and "),
            ("||", " or "),
        ):
            condition = condition.replace(theirs, ours)
        told = {
            need: SimpleNamespace(result=results[need], outputs=SimpleNamespace(count=str(cells)))
            for need in needs
        }
        # An expression of our own workflow, in Python's words by now.
        starts = eval(
            re.sub(r"!(?!=)", "not ", condition).strip(), {"needs": SimpleNamespace(**told)}
        )
        cancelled = cancelled or name == cancelled_in
        if not starts:
            results[name] = "skipped"
        elif cancelled:
            results[name] = "cancelled"
        else:
            results[name] = "failure" if name in failing else "success"
    return results


def jobs_started(**what: Any) -> set[str]:
    return {name for name, result in run_of_images(**what).items() if result != "skipped"}


def test_an_empty_matrix_starts_no_cells_job_and_still_publishes() -> None:
    assert jobs_started(cells=0) == {"plan", "publish", "pages", "summary"}


def test_built_cells_are_published() -> None:
    assert jobs_started(cells=2) == {"plan", "cell", "publish", "pages", "summary"}


def test_a_cell_that_failed_harms_no_other_one_and_nothing_is_published() -> None:
    assert WORKFLOWS["images.yml"]["jobs"]["cell"]["strategy"]["fail-fast"] is False
    assert jobs_started(failing={"cell"}) == {"plan", "cell", "summary"}


@pytest.mark.parametrize("job", ["plan", "cell"])
def test_a_run_that_was_cancelled_publishes_nothing(job: str) -> None:
    assert jobs_started(cancelled_in=job) <= {"plan", "cell"}


def test_without_a_plan_nothing_starts_and_without_a_publication_the_page_stays() -> None:
    assert jobs_started(failing={"plan"}) == {"plan"}
    assert jobs_started(failing={"publish"}) == {"plan", "cell", "publish", "summary"}


def test_a_cells_job_gets_what_ci_matrix_gives_it(small_matrix: Matrix) -> None:
    cell = cells_of(small_matrix)[0]
    (entry,) = github.matrix([CellWork(cell, "a build id", "a tag")])["include"]
    job = WORKFLOWS["images.yml"]["jobs"]["cell"]
    asked = set(re.findall(r"\bmatrix\.(\w+)", json.dumps(job)))
    assert {"cell", "arch", "base", "builder", "runner"} <= asked <= set(entry)
    assert set(WORKFLOWS["cell.yml"][True]["workflow_call"]["inputs"]) == set(job["with"])


@pytest.mark.parametrize("target", ["environment", "lint", "docs", "unit", "emulation", "pipeline"])
def test_what_make_test_checks_is_what_ci_checks(target: str) -> None:
    done = [
        step.get("run", "") for job in WORKFLOWS["ci.yml"]["jobs"].values() for step in steps(job)
    ]
    assert any(command.removeprefix("sudo ") == f"make {target}" for command in done)
    makefile = (PROJECT / "Makefile").read_text()

    def made(target: str) -> list[str]:
        rule = re.search(rf"^{target}: ?(.*?)(?: ?##.*)?\n(\t.*\n)+", makefile, re.MULTILINE)
        assert rule
        calls = r"^\t@(?:nice -n 10 )?\$\(MAKE\) (?:--\S+ )*(.*)$"
        names = " ".join(re.findall(calls, rule[0], re.MULTILINE))
        return f"{rule[1]} {names}".split()

    linter = "$(ACTIONLINT)/.made-from-package-lock"
    assert made("test") == ["development", linter, "images", "no-images"]
    assert made("no-images") == ["development", "lint", "docs", "unit", "emulation", "parts"]
    # All of them, which CI runs in a job of their own, in two halves.
    halves = re.findall(r"^\t\$\(VENV\)/pytest -q tests/pipeline(.*)$", makefile, re.MULTILINE)
    assert sorted(halves) == ["", ' -m "images and not recipe"', ' -m "not images"', " -m recipe"]


def test_a_machine_whose_steps_are_all_in_the_cache_waits_for_no_units() -> None:
    cached = [command for command in COMMANDS if "--cache " in command]
    # Who signs leaves something there: the job that builds.
    assert {("--keyless" in command, "--no-units" in command) for command in cached} == {
        (True, False),
        (False, True),
    }
