"""One page says of every cell what became of it, and of what was skipped why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from made_up_catalogue import passed
from rocm_images.build.summary import CellReport, Result, write_summary
from rocm_images.ci.summary_page import page, read
from rocm_images.cli.main import main
from rocm_images.errors import InputError
from rocm_images.sizes import Sizes

GOOD = CellReport(
    "942", Result.DONE, "sglang-rocm:v1", "sha256:00", Sizes(None, 45_300_000_000), 2760.4
)
BAD = CellReport("950", Result.DONE).failed(
    Result.BUILD_FAILED, detail="step | failed", tail=["make: ***", "```", "<b>"], log=Path("l")
)
EVIDENCE = passed("942", tests_passed=21)


def page_of(folder: Path) -> str:
    return page(read([folder]))


def test_a_cell_is_shown_with_its_size_its_evidence_and_its_result(tmp_path: Path) -> None:
    write_summary(tmp_path / "summary.json", [GOOD.tested(EVIDENCE)])
    row = "| 942 | `sglang-rocm:v1` | - | 45.3 GB | 2760 | 21 of 21 tests passed (static) | done |"
    assert row in page_of(tmp_path).splitlines()


def test_what_was_skipped_is_shown_with_the_reason(tmp_path: Path) -> None:
    skipped = [{"cell": "950", "why": "in r.example.org: sha256:ab"}]
    (tmp_path / "ci-matrix.json").write_text(json.dumps({"schema": 1, "skipped": skipped}))
    found = page_of(tmp_path)
    assert "no cell was worked on, 1 skipped" in found
    assert "| 950 | in r.example.org: sha256:ab |" in found


def test_a_failure_is_counted_and_its_log_cannot_write_the_page(tmp_path: Path) -> None:
    write_summary(tmp_path / "summary.json", [GOOD, BAD])
    found = page_of(tmp_path)
    assert "## Images: 1 of 2 good, 1 failed" in found
    assert "### 950: step | failed" in found
    # The log has a fence of three ticks, so that the page's has four.
    assert "````\nmake: ***\n```\n<b>\n````" in found


def test_an_interrupted_cell_is_no_failure_and_has_no_heading_of_its_own(tmp_path: Path) -> None:
    stopped = CellReport("942-7.2.0", Result.INTERRUPTED)
    write_summary(tmp_path / "summary.json", [GOOD, BAD, stopped])
    found = page_of(tmp_path)
    assert "## Images: 1 of 3 good, 1 failed, 1 interrupted" in found
    assert "| 942-7.2.0 |" in found
    assert "| **interrupted** |" in found
    assert [line for line in found.splitlines() if line.startswith("### ")] == [
        "### 950: step | failed"
    ]


def test_the_jobs_of_a_run_make_one_page_in_which_the_later_job_of_a_cell_counts(
    tmp_path: Path,
) -> None:
    write_summary(tmp_path / "run-942-1-build" / "summary.json", [GOOD])
    write_summary(tmp_path / "run-942-2-test" / "summary.json", [GOOD.tested(EVIDENCE)])
    write_summary(tmp_path / "run-950-1-build" / "summary.json", [BAD])
    found = page_of(tmp_path)
    assert "1 of 2 good" in found
    assert "not run | done" not in found
    assert "21 of 21 tests passed" in found


@pytest.mark.parametrize(
    "text",
    [
        *("{", "[]", "{}", '{"schema": 2}'),
        *('{"schema": 1, "cells": []}', '{"schema": 2, "cells": [{"cell": "942"}]}'),
    ],
)
def test_a_file_that_is_no_summary_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(InputError, match=r"summary.json is no summary.json or ci-matrix.json"):
        read([tmp_path])


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read([tmp_path / "nowhere"])


def test_the_page_is_printed_and_shown_beside_the_run_on_github(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_summary(tmp_path / "summary.json", [GOOD])
    beside = tmp_path / "step-summary"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(beside))
    found = CliRunner().invoke(main, ["summary", str(tmp_path)])
    assert found.exit_code == 0
    assert found.stdout == beside.read_text() == page_of(tmp_path)
    # A second step adds to the page.
    CliRunner().invoke(main, ["summary", str(tmp_path)])
    assert beside.read_text() == 2 * found.stdout


def test_outside_of_github_it_is_only_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    write_summary(tmp_path / "summary.json", [GOOD])
    assert CliRunner().invoke(main, ["summary", str(tmp_path)]).exit_code == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["summary.json"]
