"""docs/crashes.md is what the judge says, and each of its examples shows it."""

from __future__ import annotations

import os
import re
import runpy
import signal
import subprocess

import pytest
from corpus import CORPUS
from crash_words import LINES
from pattern_words import alternatives

from image_servers import SERVERS
from raw_logs import PACKAGES, PROJECT, read_log
from serve_probe import faults
from serve_probe.causes import Cause, cause_of, causes_of
from serve_probe.judge import judge
from serve_probe.log_lines import parsed
from serve_probe.verdict import Ending

MAKER = runpy.run_path(str(PROJECT / "docs" / "crashes.py"))
PAGE = (PROJECT / "docs" / "crashes.md").read_text()
ENTRIES = dict(re.findall(r"^### (\S+)\n\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL))
EXAMPLES = {
    name: text.partition("\n")[0].strip()
    for name, text in ENTRIES.items()
    if text.startswith("    ")
}
ALSO = {
    name: re.findall("`([^`]+)`", "".join(re.findall("^Also: .*$", text, re.MULTILINE)))
    for name, text in ENTRIES.items()
}
PATTERNS = MAKER["patterns"]()
INDEX = re.findall(r"^- `([^`]+)`: \[(\S+)\]\(#(\S+)\)$", PAGE, re.MULTILINE)
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


def example_of(name: str) -> list[str]:
    """Its example, whole and as the judge reads it: without what says who wrote it."""
    lines = [EXAMPLES[name]] if name in EXAMPLES else []
    return [*lines, *(parsed(line, one.log).message for line in lines for one in SERVERS.values())]


def unanswered(name: str, lines: list[str]) -> list[str]:
    """The alternatives of a cause's patterns that are in none of some lines."""
    every = [one for pattern in PATTERNS[name] for one in alternatives(pattern)]
    return [one for one in every if not any(re.search(one, line, re.IGNORECASE) for line in lines)]


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_every_alternative_of_its_patterns_is_in_a_line_of_its_entry(name: str) -> None:
    assert not unanswered(name, [*example_of(name), *ALSO[name]])
    assert unanswered(name, [""])
    if ALSO[name]:
        assert unanswered(name, example_of(name)) or set(ALSO[name]) <= set(LINES[name])


def test_without_those_words_most_alternatives_are_not_on_the_page() -> None:
    every = [one for name in PATTERNS for one in unanswered(name, [])]
    missing = [one for name in PATTERNS for one in unanswered(name, example_of(name))]
    assert len(every) > len(missing) > 0.7 * len(every) > 100


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_its_alternatives_find_what_its_pattern_finds(name: str) -> None:
    lines = [*EXAMPLES.values(), *(word for words in ALSO.values() for word in words)]
    for pattern in PATTERNS[name]:
        found = {line for line in lines if re.search(pattern, line, re.IGNORECASE)}
        assert found
        assert found == {
            line
            for line in lines
            if any(re.search(one, line, re.IGNORECASE) for one in alternatives(pattern))
        }


def meant(line: str) -> set[str | None]:
    """What the judge takes a line for: as the runtime's own, as an exception's, as a whole log."""
    told = [cause for cause in faults.RUNTIME if cause.pattern.search(line)][:1]
    told += [c for c in (cause_of(line, causes_of(one.log)) for one in SERVERS.values()) if c]
    if told:
        return {cause.name for cause in told}
    return {
        judge(before + line, Ending(), one.log).cause
        for before in ("", "[host:1:0:1] ")
        for one in SERVERS.values()
    }


WHOLE = {(word, name) for name, words in ALSO.items() for word in words}
WHOLE |= {(phrase, name) for phrase, name, _ in INDEX}


@pytest.mark.parametrize("name", sorted(ENTRIES))
def test_the_judge_takes_its_words_for_its_cause(name: str) -> None:
    for word in (word for word, of in WHOLE if of == name):
        assert name in meant(word) or (name not in PATTERNS and word in EXAMPLES[name]), word


def test_a_first_letter_of_the_other_case_changes_no_cause() -> None:
    causes = {one.name: causes_of(one.log) for one in SERVERS.values()}
    told = 0
    for word, _ in WHOLE:
        swapped = word[:1].swapcase() + word[1:]
        for possible in causes.values():
            before = cause_of(word, possible)
            assert cause_of(swapped, possible) is before, swapped
            told += before is not None and swapped != word
    assert told > 200


@pytest.mark.parametrize(
    ("number", "said", "name"),
    [
        (2, "out of memory", "OutOfMemory"),
        (98, "invalid device function", "InvalidDeviceFunction"),
        (100, "no ROCm-capable device is detected", "NoDevice"),
        (101, "invalid device ordinal", "InvalidDevice"),
        (209, "no kernel image is available for execution on the device", "NoBinaryForGpu"),
        (214, "uncorrectable ECC error encountered", "ECCNotCorrectable"),
        (700, "an illegal memory access was encountered", "IllegalAddress"),
        (710, "device-side assert triggered", "Assert"),
        (900, "operation not permitted when stream is capturing", "StreamCaptureUnsupported"),
        (901, "failed due to a previous error during capture", "StreamCaptureInvalidated"),
        (
            902,
            "operation would result in a merge of separate capture sequences",
            "StreamCaptureMerge",
        ),
        (903, "capture was not ended in the same stream as it began", "StreamCaptureUnmatched"),
        (904, "capturing stream has unjoined work", "StreamCaptureUnjoined"),
        (905, "dependency created on uncaptured work in another stream", "StreamCaptureIsolation"),
        (
            906,
            "operation would make the legacy stream depend on a capturing blocking stream",
            "StreamCaptureImplicit",
        ),
        (907, "operation not permitted on an event last recorded in a capturing", "CapturedEvent"),
        (
            908,
            "attempt to terminate a thread-local capture sequence from another thread",
            "StreamCaptureWrongThread",
        ),
    ],
)
def test_an_error_of_the_runtime_is_the_same_by_its_name_its_words_and_its_number(
    number: int, said: str, name: str
) -> None:
    cudas = {"NoBinaryForGpu": "NoKernelImageForDevice", "ECCNotCorrectable": "ECCUncorrectable"}
    lines = [
        *(f"RuntimeError: {gpu} error: {said}" for gpu in ("HIP", "CUDA")),
        *(f"RuntimeError: {gpu} error {number}" for gpu in ("HIP", "CUDA")),
        f"RuntimeError: Triton Error [HIP]: Code: {number}, Messsage: {said}",
        f"RuntimeError: hipModuleLaunchKernel failed with error code {number}",
        f"RuntimeError: hipModuleLoad failed: hipError{name}",
        f"RuntimeError: x failed: cudaError{cudas.get(name, name)}",
    ]
    found = {judge(line, Ending(1)).cause for line in lines}
    assert len(found) == 1
    assert found.isdisjoint({"gpu-error", "exception", None})


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("ValueError: the relationship error 2", "exception"),
        ("RuntimeError: hipcc failed with error code 2", "compile-failed"),
        ("KeyError: 'ReleasePipeline'", "exception"),
    ],
)
def test_what_only_looks_like_an_errors_name_or_number_is_not_taken_for_it(
    line: str, cause: str
) -> None:
    assert judge(line, Ending(1)).cause == cause


def test_every_line_of_the_table_of_words_is_on_the_page() -> None:
    for name, lines in LINES.items():
        for line in lines:
            assert line in ALSO[name] or line in EXAMPLES[name], line


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("HIP out of memory", "out-of-memory"),
        ("No space left on device", "disk-full"),
        ("an illegal memory access was encountered", "illegal-address"),
        ("device-side assert", "device-assertion"),
        ("hipErrorStreamCaptureInvalidated", "capture-invalidated"),
        ("No HIP GPUs are available", "no-gpu"),
        ("Fatal Python error: Illegal instruction", "sigill"),
    ],
)
def test_who_searches_the_page_for_these_words_finds_them(words: str, name: str) -> None:
    assert words in ENTRIES[name]
    assert [name] == [entry for phrase, entry, _ in INDEX if words in phrase]


def test_the_index_is_alphabetical_and_leads_to_entries_that_have_its_words() -> None:
    before, _, after = PAGE.partition("## Index of messages\n")
    assert "](#index-of-messages)" in before
    assert "\n### " not in before
    assert len(INDEX) == len(re.findall("^- ", after.partition("\n## ")[0], re.MULTILINE)) > 150
    keys = [MAKER["in_the_index"](phrase) for phrase, _, _ in INDEX]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)
    for phrase, name, anchor in INDEX:
        assert name == anchor
        assert phrase in ENTRIES[name]
    assert {name for _, name, _ in INDEX} == set(ENTRIES) - {"exception", "other-signal"}


def test_the_index_leaves_out_cudas_words_only_where_it_has_hips() -> None:
    phrases = {phrase for phrase, _, _ in INDEX}
    left = {word for word, _ in WHOLE} - phrases
    assert len(left) > 30
    assert {word.replace("CUDA", "HIP").replace("cuda", "hip") for word in left} <= phrases


STATUSES = dict(re.findall(r"^\| (\d+(?:, -\d+)?) \| (.+) \|$", PAGE, re.MULTILINE))


def test_an_exit_status_above_128_leads_to_what_the_judge_says_of_that_signal() -> None:
    told = {}
    for status, said in STATUSES.items():
        if "-" in status:
            above, below = status.split(", ")
            assert int(above) == 128 - int(below)
            (told[int(below)],) = re.findall(r"\(#([\w-]+)\)", said)
    assert told == {
        number: cause
        for number in range(-64, 0)
        if (cause := judge("", Ending(number)).cause) != "other-signal"
    }
    assert {told[-4], told[-5], told[-8], told[-31]} == {"sigill", "sigtrap", "sigfpe", "sigsys"}
    assert "| another to 192 | signal N for 128 + N, or -N: [other-signal](#other-signal) |" in PAGE


CAUSES_OF_LOGS = {judge(read_log(name), one.ending).cause for name, one in CORPUS.items()}
LAUNCHERS = "[2026-04-13 09:04:30] Subprocess scheduler_1 (pid=6720) crashed with exit code {}."


@pytest.mark.parametrize("number", range(1, signal.NSIG))
def test_no_verdict_on_a_signal_points_to_an_anchor_that_is_not_there(number: int) -> None:
    for log, ending in (("", Ending(-number)), (LAUNCHERS.format(-number), Ending(1))):
        cause = judge(log, ending).cause
        assert cause is None or cause in ENTRIES


def test_every_cause_that_a_signal_or_a_log_can_have_has_an_anchor() -> None:
    of_signals = {judge("", Ending(-number)).cause for number in range(1, signal.NSIG)}
    assert None not in of_signals
    assert of_signals | CAUSES_OF_LOGS | set(PATTERNS) <= {*ENTRIES, None}
    assert {"sigtrap", "sigsys", "other-signal"} <= of_signals


@pytest.mark.parametrize(("command", "status"), [("/", "126"), ("no-such-command", "127")])
def test_the_entrypoints_own_statuses_are_in_the_table(command: str, status: str) -> None:
    entrypoint = PACKAGES.parents[1] / "usr" / "local" / "bin" / "rocm-entrypoint"
    done = subprocess.run(
        [entrypoint, command],
        env={"PATH": os.defpath, "ROCM_IMAGES_SKIP_PREFLIGHT": "1"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert str(done.returncode) == status
    assert "exec:" in done.stderr
    assert "`exec:`" in STATUSES[status]
    assert "125" in STATUSES
