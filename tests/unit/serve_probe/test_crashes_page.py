"""docs/crashes.md is what the judge says, and each of its examples shows it."""

from __future__ import annotations

import re
import runpy

import pytest
from corpus import CORPUS

from image_servers import SERVERS
from raw_logs import PACKAGES, PROJECT, read_log
from serve_probe import faults
from serve_probe.causes import Cause, causes_of
from serve_probe.judge import judge
from serve_probe.verdict import Ending

MAKER = runpy.run_path(str(PROJECT / "docs" / "crashes.py"))
PAGE = (PROJECT / "docs" / "crashes.md").read_text()
ENTRIES = dict(re.findall(r"^### (\S+)\n\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL))
EXAMPLES = {
    name: text.partition("\n")[0].strip()
    for name, text in ENTRIES.items()
    if text.startswith("    ")
}
BY_THE_REST = "The rest of the log decides, not this line alone."


def test_the_page_is_what_its_script_writes() -> None:
    assert MAKER["page"](PAGE) == PAGE


def test_every_cause_has_its_entry_and_those_that_a_log_shows_an_example() -> None:
    known = {cause.name for one in SERVERS.values() for cause in causes_of(one.log)}
    known |= {cause.name for cause in vars(faults).values() if isinstance(cause, Cause)}
    shown = {expected.cause for expected in CORPUS.values() if expected.cause}
    assert set(ENTRIES) == known | shown | {"sigill"}
    assert set(EXAMPLES) == shown | {"sigill"}


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_judge_finds_the_cause_in_its_example(name: str) -> None:
    if BY_THE_REST in ENTRIES[name]:
        logs = [log for log, expected in CORPUS.items() if expected.cause == name]
        (log,) = [
            log for log in logs if EXAMPLES[name].removesuffix(MAKER["CUT"]) in read_log(log)
        ][:1]
        assert judge(read_log(log), CORPUS[log].ending).cause == name
        assert judge(EXAMPLES[name], Ending()).cause != name
    else:
        assert judge(EXAMPLES[name], Ending()).cause == name


def test_a_cause_without_a_log_says_so() -> None:
    for name in set(ENTRIES) - set(EXAMPLES):
        assert "no log in the tests has it" in ENTRIES[name]


def test_the_five_symptoms_come_first() -> None:
    before, _, after = PAGE.partition("## The five symptoms to look for first")
    assert "## " not in before
    assert re.findall(r"^(\d)\. ", after.partition("## ")[0], re.MULTILINE) == list("12345")


def test_every_warning_of_the_preflight_is_on_the_page() -> None:
    script = (PACKAGES.parents[1] / "usr" / "local" / "bin" / "rocm-preflight").read_text()
    said = re.findall(r"\bsay [a-z-]+ (?:warn|fail)\b", script)
    rows = PAGE.partition("## What the entrypoint says")[2].partition("\n## ")[0]
    assert len(said) == len(re.findall(r"^\| `", rows, re.MULTILINE)) > 10
    assert "$" not in rows


def test_an_example_says_something_and_ends_in_a_word_or_in_a_mark() -> None:
    for name, line in EXAMPLES.items():
        logs = [log for log, expected in CORPUS.items() if expected.cause == name]
        whole = [quoted for log in logs for quoted in read_log(log).splitlines()]
        if line.endswith(MAKER["CUT"]):
            begins = line.removesuffix(MAKER["CUT"])
            assert len(line) <= MAKER["MOST_SHOWN"]
            assert any(begins + " " in one for one in whole), name
        elif logs:
            assert any(one.rstrip().endswith(line) for one in whole), name
    assert "head_dim 576" in EXAMPLES["exception"]


def test_no_heading_says_that_its_causes_are_unknown() -> None:
    (heading,) = re.findall("^## 45: .*$", PAGE, re.MULTILINE)
    assert "not know" not in heading
    for word in ("address", "disk", "model", "package", "kernel"):
        assert word in heading
    assert "search the issues" in ENTRIES["exception"]
