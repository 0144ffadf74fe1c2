"""A child pipeline of GitLab CI: one job for each cell, on a runner that can test it; a summary.

https://docs.gitlab.com/ci/pipelines/downstream_pipelines/#dynamic-child-pipelines
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from rocm_images.ci import runners
from rocm_images.ci.work import CellWork

_BUILD = ".venv/bin/python build.py"
# A pipeline without a job is an error to GitLab, so an empty list becomes a job that says so.
NOTHING = "nothing-to-do"
_LEFT = "build/run"
# Jobs without rules are a branch's alone: the child of a merge request's pipeline would have none,
# which is an error. https://gitlab.com/gitlab-org/gitlab/-/issues/322012
_ANYWHERE = {"rules": [{"when": "always"}]}


def child_pipeline(
    work: Sequence[CellWork],
    options: str,
    push: str | None = None,
    *,
    pulls: Sequence[str] = (),
    runner: Sequence[str] = (runners.GFX,),
    environment: str | None = None,
) -> dict[str, object]:
    """The pipeline as a document; JSON of it is YAML.

    Args:
        work: every cell; those that need no work get no job.
        options: more options of `build`, as a shell reads them.
        push: options of `push`; None: the jobs push nothing.
        pulls: options of `build` with which it pulls what only needs to be tested again.
        runner: the tags of each job's runner.
        environment: whose variables each job gets, the signing key's among them.
    """
    options = " ".join([*map(shlex.quote, pulls), options]).rstrip()
    # It deploys nothing: that is the job that publishes. `prepare` asks for the same rights.
    more = {"environment": {"name": environment, "action": "prepare"}} if environment else {}
    jobs = {
        one.cell.name: _job(one, options, push, runners.of(one.cell, runner)) | more
        for one in work
        if one.needed
    }
    if jobs:
        script = ["make environment", f"{_BUILD} summary {_LEFT}"]
        jobs["summary"] = {"stage": "summary", "when": "always", "script": script}
    else:
        jobs = {NOTHING: {"stage": "cells", "script": ["echo 'Every image is there already.'"]}}
    return {"stages": ["cells", "summary"], "workflow": _ANYWHERE, **jobs}


def _job(one: CellWork, options: str, push: str | None, tags: Sequence[str]) -> dict[str, object]:
    script = ["make environment", f"{_BUILD} {one.cell.words} {options}".rstrip()]
    if push is not None:
        script.append(f"{_BUILD} push {one.cell.words} {push}".rstrip())
    # The artifacts of all jobs are put into one folder.
    left = f"{_LEFT}/{one.cell.name}/"
    return {
        "stage": "cells",
        "tags": [*tags],
        "interruptible": True,
        "script": script,
        "after_script": [f"mkdir -p {left} && cp build/summary.json {left}"],
        "artifacts": {
            "when": "always",
            "paths": [left, "build/evidence/", "build/logs/"],
            "reports": {"junit": "build/evidence/*.junit.xml"},
        },
    }
