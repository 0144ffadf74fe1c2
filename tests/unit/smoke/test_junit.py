"""JUnit's report of a smoke test lies beside the evidence: masked, bounded, of every outcome."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from made_up_evidence import evidence
from rocm_images.build.summary import CellReport, Result, write_summary
from rocm_images.foreign import document_of
from rocm_images.matrix.schema import Matrix
from rocm_images.smoke import junit
from rocm_images.smoke.evidence import Evidence, Level

XML = """\
<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" hostname="a-machine" errors="0"
failures="1" tests="2"><testcase classname="a" name="good" /><testcase classname="a" name="bad">
<failure message="see http://me:secret@proxy/">{text}</failure></testcase></testsuite></testsuites>
"""


@pytest.fixture
def good(small_matrix: Matrix) -> Evidence:
    return evidence(small_matrix, Level.STATIC, None)


@pytest.fixture
def failed(small_matrix: Matrix) -> Evidence:
    return evidence(small_matrix, Level.STATIC, None, ("bad: see http://a:b@c/",))


def kept(folder: Path, found: Evidence, text: str | None) -> tuple[Path, ElementTree.Element]:
    results = folder / "results.xml"
    if text is not None:
        results.write_text(text, encoding="utf-8")
    path = junit.keep(results, found, folder / "evidence")
    return path, ElementTree.parse(path).getroot()


def test_it_has_every_test_and_what_was_tested(tmp_path: Path, failed: Evidence) -> None:
    path, root = kept(tmp_path, failed, XML.format(text="why"))
    assert path.name == f"{failed.image_id.removeprefix('sha256:')}.junit.xml"
    assert [case.get("name") for case in root.iter("testcase")] == ["good", "bad"]
    (suite,) = root
    assert suite.get("name") == failed.cell
    assert {one.get("name"): one.get("value") for one in suite.iter("property")} == {
        "image_id": failed.image_id,
        "level": str(failed.level),
        "tests": failed.tests,
    }


def test_nothing_in_it_is_secret_or_endless(tmp_path: Path, failed: Evidence) -> None:
    long = "http://me:secret@proxy/ " + "é" * 100_000 + " the end"
    path, root = kept(tmp_path, failed, XML.format(text=long))
    text = path.read_text(encoding="utf-8")
    assert "secret" not in text
    assert "a-machine" not in text
    (failure,) = root.iter("failure")
    assert failure.get("message") == "see http://***@proxy/"
    assert (failure.text or "").endswith(" the end")
    assert len(failure.text or "") < junit.LONGEST_TEXT + 20


@pytest.mark.parametrize("text", [None, "<testsui", "<other/>", "large"])
def test_a_run_that_left_no_results_is_an_error_in_it(
    tmp_path: Path, failed: Evidence, text: str | None
) -> None:
    if text == "large":
        text = XML.format(text="x" * (junit.LARGEST + 1))
    _, root = kept(tmp_path, replace(failed, failures=("was\x1b stopped http://a:b@c/",)), text)
    (error,) = root.iter("error")
    assert error.get("message") == error.text == "was? stopped http://***@c/"


def test_a_run_that_was_stopped_after_good_tests_is_no_success(
    tmp_path: Path, good: Evidence, failed: Evidence
) -> None:
    text = "<testsuites><testsuite><testcase name='good'/></testsuite></testsuites>"
    _, root = kept(tmp_path, failed, text)
    assert [case.get("name") for case in root.iter("testcase")] == ["good", "run"]
    assert len(list(root.iter("error"))) == 1
    _, passed = kept(tmp_path, good, text)
    assert not list(passed.iter("error"))


def test_the_summary_names_it_where_it_is(tmp_path: Path, good: Evidence) -> None:
    report = CellReport("942", Result.DONE, image_id=good.image_id).tested(good)

    def named() -> object:
        write_summary(tmp_path / "summary.json", [report])
        return document_of(tmp_path / "summary.json")["cells"][0]["junit"]

    assert named() is None
    path, _ = kept(tmp_path, good, None)
    assert named() == str(path.relative_to(tmp_path))
