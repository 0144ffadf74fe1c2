"""Which jobs of images.yml start, by what became of those before them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import pytest

from rocm_images.ci import github
from rocm_images.ci.work import CellWork
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from workflow_files import WORKFLOWS


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
