"""The comparison of a HIP runtime with the measured tables: what passes, what fails, and how."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from capture_cases import MissingCall
from capture_tables import (
    Difference,
    Observed,
    Row,
    Unusable,
    read_differences,
    read_matrix,
    write_matrix,
)
from comparison import compare
from conformance import main
from measuring import CALLS, in_fresh_process
from verdict import NewerRuntime, judge

PROJECT = Path(__file__).resolve().parents[2]
DATA = PROJECT / "tests" / "data"
DIFFERENCES = PROJECT / "rehearsal" / "hip" / "hip-differences.tsv"
ALIVE, DEAD = Observed(0, 1, 0), Observed(900, 0, 901)
QUERY = Row("non-blocking", "GLOBAL", "THREAD_LOCAL", "StreamQuery(other stream)")
MALLOC = Row("blocking", "GLOBAL", "same", "Malloc")


def table(name: str) -> dict[Row, Observed]:
    return read_matrix(DATA / name, CALLS)


def changed(one: str, other: str) -> int:
    return len(compare(table(one), table(other)).disagreements)


def test_a_row_that_changed_is_named_with_both_values() -> None:
    report = compare({QUERY: ALIVE, MALLOC: DEAD}, {QUERY: DEAD, MALLOC: DEAD})
    assert report.as_expected == 1
    (line,) = report.disagreements
    assert line.split()[:3] == list(QUERY[:3])
    assert line.endswith("StreamQuery(other stream): 900, dead (901) instead of 0, survived")


def test_a_row_that_could_not_be_measured_is_never_as_expected() -> None:
    (line,) = compare({QUERY: ALIVE}, {QUERY: "ended by signal 11"}).disagreements
    assert "ended by signal 11 instead of 0, survived" in line


def test_a_listed_difference_is_what_is_expected_instead() -> None:
    listed = [Difference(7, (None, "GLOBAL", "THREAD_LOCAL", QUERY.call), DEAD)]
    assert compare({QUERY: ALIVE}, {QUERY: DEAD}, listed) == (0, 1, [])
    (line,) = compare({QUERY: ALIVE}, {QUERY: Observed(907, 0, 901)}, listed).disagreements
    assert "907, dead (901) instead of 900, dead (901) (listed)" in line


def test_a_difference_that_is_none_is_stale() -> None:
    listed = [Difference(7, (None, None, None, QUERY.call), DEAD)]
    (line,) = compare({QUERY: ALIVE}, {QUERY: ALIVE}, listed).disagreements
    assert "line 7 of the differences is stale" in line


def test_a_difference_that_matches_no_row_is_said() -> None:
    listed = [Difference(7, (None, None, None, "Free"), DEAD)]
    report = compare({QUERY: ALIVE}, {QUERY: ALIVE}, listed)
    assert report.disagreements == ["line 7 of the differences matches no row"]


def test_two_differences_for_one_row_are_said() -> None:
    listed = [Difference(n, (None, None, None, QUERY.call), DEAD) for n in (7, 8)]
    (line,) = compare({QUERY: ALIVE}, {QUERY: DEAD}, listed).disagreements
    assert "lines 7, 8 of the differences both match" in line


def test_what_is_written_is_read_again_and_failures_are_comments(tmp_path: Path) -> None:
    path = tmp_path / "new.tsv"
    write_matrix(path, "A runtime, 2026.", {QUERY: DEAD, MALLOC: "ended by signal 11"})
    assert read_matrix(path, CALLS) == {QUERY: DEAD}
    assert "\n# blocking\tGLOBAL\tsame\tMalloc\tended by signal 11\n" in path.read_text()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("blocking\tGLOBAL\tsame\tMalloc\t0\t1\n", "has 6 columns instead of 7."),
        ("blocking\tGLOBAL\tsame\tMalloc\t0\tyes\t0\n", "has a result that is no number"),
        ("blocking\tGLOBAL\tsame\tFlurb\t0\t1\t0\n", "has a call that is not known here: Flurb."),
    ],
)
def test_a_table_that_cannot_be_used_is_a_sentence(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "bad.tsv"
    path.write_text("# comment\n" + text)
    with pytest.raises(Unusable) as raised:
        read_matrix(path, CALLS)
    assert f"bad.tsv:2 {problem}" in str(raised.value)


def test_a_missing_table_ends_with_2_and_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--lib", "none.so", "--expected", "missing.tsv"]) == 2
    assert capsys.readouterr().err == "missing.tsv cannot be read: No such file or directory.\n"


def test_a_library_that_cannot_be_loaded_ends_with_2_and_a_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--lib", "/proc/absent.so", "--expected", str(DATA / "more-calls-hip-7.2.4.tsv")]
    assert main(words) == 2
    assert capsys.readouterr().err.startswith(
        "/proc/absent.so cannot be loaded: /proc/absent.so: cannot open"
    )


def test_a_compiler_that_cannot_be_loaded_ends_with_2_and_a_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["--lib", "libc.so.6", "--expected", str(DATA / "more-calls-hip-7.2.4.tsv")]
    assert main(words) == 2
    assert "The runtime cannot be measured: OSError: libhiprtc.so" in capsys.readouterr().err


def test_a_measuring_process_that_dies_is_a_sentence_and_a_missing_call_is_not_a_death() -> None:
    def lacking() -> object:
        raise MissingCall("the library has no hipFlurb")

    with pytest.raises(Unusable, match="ended by signal 9"):
        in_fresh_process(lambda: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(Unusable, match="ended with 3 and no answer"):
        in_fresh_process(lambda: os._exit(3))
    with pytest.raises(MissingCall, match="the library has no hipFlurb"):
        in_fresh_process(lacking)


def test_the_tables_have_the_same_rows_and_differ_in_as_many_as_the_documents_say() -> None:
    cuda, fixed, unsafe = "h100", "hip-7.2.4", "hip-6.4.3"
    matrices = [f"capture-matrix-{name}.tsv" for name in (cuda, fixed, unsafe)]
    assert [len(table(name)) for name in matrices] == [1284] * 3
    assert len({tuple(table(name)) for name in matrices}) == 1
    assert changed(matrices[0], matrices[1]) == 127
    assert changed(matrices[0], matrices[2]) == 227
    assert changed(matrices[1], matrices[2]) == 100
    more = [f"more-calls-{name}.tsv" for name in (fixed, unsafe)]
    assert [len(table(name)) for name in more] == [230] * 2
    assert len({tuple(table(name)) for name in more}) == 1


def test_each_published_difference_of_7_2_0_says_another_thing_than_7_2_4_did() -> None:
    rows = {**table("capture-matrix-hip-7.2.4.tsv"), **table("more-calls-hip-7.2.4.tsv")}
    published = read_differences(DIFFERENCES)
    as_published = {
        row: next((entry.expected for entry in published if entry.matches(row)), answer)
        for row, answer in rows.items()
    }
    assert compare(rows, as_published, published) == (1416, 98, [])


def ran(code: int) -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess([], code, "StreamQuery: 900 instead of 0\n", "unusable\n")


def test_a_changed_row_of_the_measured_package_fails() -> None:
    judge(ran(0), pinned=True)
    with pytest.raises(AssertionError, match="900 instead of 0"):
        judge(ran(1), pinned=True)


def test_a_changed_row_of_a_newer_package_is_a_warning_with_both_values() -> None:
    judge(ran(0), pinned=False)
    with pytest.warns(NewerRuntime, match="900 instead of 0"):
        judge(ran(1), pinned=False)


@pytest.mark.parametrize("pinned", [True, False])
def test_a_runtime_that_cannot_be_measured_fails_whichever_package_it_is(pinned: bool) -> None:
    with pytest.raises(AssertionError, match="unusable"):
        judge(ran(2), pinned)
