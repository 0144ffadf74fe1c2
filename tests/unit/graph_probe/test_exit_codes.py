"""The exit codes and the conclusion that chooses among them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from graph_probe.cases import Kind, Outcome, judge_capture
from graph_probe.command_line import conclude
from graph_probe.exit_codes import MEANING, ExitCode
from graph_probe.findings import BatchResult, DecodeResult, Findings
from graph_probe.judgement import judge
from graph_probe.options import parse
from graph_probe.tokens import BatchCheck
from image_servers import SERVERS
from observations import KILLED

Outcomes = Callable[..., list[Outcome]]


def unsafe(outcomes: Outcomes) -> Findings:
    dead = outcomes(lambda case: KILLED if case.kind is Kind.MUST_SURVIVE else None)
    return Findings(capture=judge_capture(dead))


def decoded(problem: str | None) -> DecodeResult:
    batch = BatchResult(BatchCheck(1, 64, 64, 30, problem), 1.0, 2.0)
    return DecodeResult(1, 64, False, 0, (batch,))


def test_every_code_has_a_number_and_a_sentence_of_its_own() -> None:
    assert set(MEANING) == set(ExitCode)
    assert len(set(MEANING.values())) == len(ExitCode)
    assert all(text.endswith(".") for text in MEANING.values())
    assert len({int(code) for code in ExitCode}) == len(ExitCode.__members__)


def test_the_page_about_the_probe_lists_every_code_with_its_sentence() -> None:
    page = (Path(__file__).parents[3] / "docs" / "probe.md").read_text()
    for code, text in MEANING.items():
        if code < 128:
            assert f"| {int(code)} | {text} |" in page


def test_capture_alone_on_an_unsafe_runtime_has_a_code_of_its_own(outcomes: Outcomes) -> None:
    code, sentence = conclude(parse(["capture"]), unsafe(outcomes))
    assert code is ExitCode.UNSAFE
    assert "16" in sentence


def test_capture_alone_on_a_safe_runtime_passes(outcomes: Outcomes) -> None:
    findings = Findings(capture=judge_capture(outcomes()))
    assert conclude(parse(["capture"]), findings)[0] is ExitCode.PASS


@pytest.mark.parametrize(
    ("value", "code"), [("1", ExitCode.UNSAFE_NOT_MITIGATED), ("0", ExitCode.PASS)]
)
def test_run_on_an_unsafe_runtime_goes_by_the_judgement(
    outcomes: Outcomes, value: str, code: ExitCode
) -> None:
    findings = unsafe(outcomes)
    findings.decode = decoded(None)
    findings.judgement = judge(False, SERVERS["sglang"].all_reduce, {"SGLANG_USE_AITER_AR": value})
    assert conclude(parse(["run"]), findings)[0] is code


def test_wrong_tokens_come_before_the_judgement(outcomes: Outcomes) -> None:
    findings = unsafe(outcomes)
    findings.decode = decoded("Batch 1, row 0, step 2: wrong.")
    findings.judgement = judge(False, SERVERS["sglang"].all_reduce, {})
    assert conclude(parse(["run"]), findings) == (
        ExitCode.WRONG_TOKENS,
        "Batch 1, row 0, step 2: wrong.",
    )
