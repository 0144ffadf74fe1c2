"""The exit code follows from the worst thing that happened, and the summary says all of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from made_up_engine import made_up_engine
from rocm_images.build.run import _measured
from rocm_images.build.summary import (
    CellReport,
    Result,
    exit_code,
    failures,
    summary_table,
    write_summary,
)
from rocm_images.errors import EXIT_CODE_MEANINGS, ExitCode
from rocm_images.sizes import Sizes
from rocm_images.smoke.outcome import read_outcome

PROJECT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ([Result.DONE, Result.DONE], 0),
        ([Result.DONE, Result.BUILD_FAILED], 1),
        ([Result.DONE, Result.SMOKE_FAILED], 4),
        ([Result.SMOKE_FAILED, Result.BUILD_FAILED], 1),
        ([Result.BUILD_FAILED, Result.REGISTRY_FAILED], 9),
        ([Result.REGISTRY_FAILED, Result.ENGINE_FAILED], 3),
        ([Result.ENGINE_FAILED, Result.NOT_VERIFIED, Result.BUILD_FAILED], 10),
        ([Result.DONE, Result.INTERRUPTED, Result.NOT_VERIFIED], 130),
    ],
)
def test_the_exit_code_is_that_of_the_worst_result(results: list[Result], code: int) -> None:
    assert exit_code([CellReport("c", result) for result in results]) == code


def test_every_exit_code_has_its_own_number_and_a_meaning() -> None:
    # A name with another's number is an alias, which iteration leaves out and this lists.
    assert [code.name for code in ExitCode.__members__.values()] == list(ExitCode.__members__)
    assert set(EXIT_CODE_MEANINGS) == set(ExitCode)


def test_the_document_on_endings_lists_every_exit_code() -> None:
    page = (PROJECT / "docs" / "ending.md").read_text()
    for code, meaning in EXIT_CODE_MEANINGS.items():
        assert f"| {int(code)} | {meaning} |" in page


def test_neither_summary_nor_failures_hold_credentials(tmp_path: Path) -> None:
    address = "https://me:secret@x.org/simple"
    report = CellReport("942", Result.DONE).failed(
        Result.BUILD_FAILED, detail=address, tail=[f"pip: {address}"], log=Path("l")
    )
    write_summary(tmp_path / "summary.json", [report])
    for text in (failures([report]), (tmp_path / "summary.json").read_text()):
        assert text.count("https://***@x.org/simple") == 2
        assert "secret" not in text


def test_a_failure_is_shown_with_its_step_its_log_and_its_end() -> None:
    report = CellReport("942", Result.DONE).failed(
        Result.BUILD_FAILED,
        detail="[aiter 1/1] RUN make: exit code: 2",
        tail=["error"],
        log=Path("l"),
    )
    text = failures([report, CellReport("950", Result.DONE)])
    assert text == "942: build failed: [aiter 1/1] RUN make: exit code: 2\n    error\n  full log: l"


def test_the_summary_is_written_for_machines(tmp_path: Path) -> None:
    report = CellReport("942", Result.DONE, "a:1", "sha256:00", Sizes(5_000_000, None), 1.5)
    write_summary(tmp_path / "build" / "summary.json", [report])
    document = json.loads((tmp_path / "build" / "summary.json").read_text())
    assert document["exit_code"] == 0
    assert document["cells"][0]["result"] == "done"
    assert document["cells"][0]["image_id"] == "sha256:00"
    assert document["cells"][0]["compressed"] == 5_000_000
    assert document["cells"][0]["unpacked"] is None
    heading, row = summary_table([report]).splitlines()
    end = heading.index("UNPACKED") + len("UNPACKED")
    assert row[: heading.index("COMPRESSED") + len("COMPRESSED")].endswith("    5.0 MB")
    assert row[:end].endswith("  -")


def outcome(tmp_path: Path, cases: str, status: int) -> tuple[int, tuple[str, ...]]:
    results = tmp_path / "results.xml"
    results.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    return read_outcome(results, status, tmp_path / "log")


PASSED = '<testcase name="a"/>'


def test_tests_that_passed_are_counted(tmp_path: Path) -> None:
    assert outcome(tmp_path, PASSED + PASSED, 0) == (2, ())


def test_a_failed_test_is_named_with_its_message(tmp_path: Path) -> None:
    failed = '<testcase name="b"><failure message="1 != 2&#10;more"/></testcase>'
    assert outcome(tmp_path, PASSED + failed, 1) == (1, ("b: 1 != 2",))


def test_a_skipped_test_does_not_count_as_passed(tmp_path: Path) -> None:
    skipped = '<testcase name="b"><skipped message="no GPU"/></testcase>'
    assert outcome(tmp_path, PASSED + skipped, 0) == (1, ("b: no GPU",))


def test_no_test_at_all_is_a_failure(tmp_path: Path) -> None:
    passed, failed = outcome(tmp_path, "", 5)
    assert passed == 0
    assert "status 5 after 0 tests" in failed[0]


def test_a_run_that_died_without_results_is_a_failure(tmp_path: Path) -> None:
    passed, failed = read_outcome(tmp_path / "absent.xml", -9, tmp_path / "log")
    assert passed == 0
    assert "status -9" in failed[0]


def test_sizes_that_an_engine_does_not_say_are_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built = CellReport("942", Result.DONE).of_image("sha256:1")
    with made_up_engine(tmp_path / "engine.sock") as engine:
        assert _measured(engine.engine, [built]) == [built]
    assert "note: the sizes of the images are not known: " in capsys.readouterr().err
