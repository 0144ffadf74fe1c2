"""The verdict that outcomes of the capture cases give."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graph_probe.cases import (
    CASES,
    Case,
    ForeignCall,
    Kind,
    Observation,
    Outcome,
    bug_of,
    judge_capture,
)
from graph_probe.runtime import GLOBAL, RELAXED, THREAD_LOCAL
from observations import CAPTURED_EVENT, KILLED, SURVIVED

Outcomes = Callable[..., list[Outcome]]


def test_a_healthy_runtime_is_safe_and_shows_no_bug(outcomes: Outcomes) -> None:
    verdict = judge_capture(outcomes())
    assert verdict.safe
    assert verdict.bugs == []


@pytest.mark.parametrize("index", [i for i, c in enumerate(CASES) if c.kind is Kind.MUST_SURVIVE])
def test_one_dead_capture_of_any_watchdog_case_makes_it_unsafe(
    outcomes: Outcomes, index: int
) -> None:
    verdict = judge_capture(outcomes(lambda case: KILLED if case is CASES[index] else None))
    assert not verdict.safe
    assert [entry.case for entry in verdict.killed] == [CASES[index]]


def test_a_control_that_survives_does_not_make_a_runtime_unsafe(outcomes: Outcomes) -> None:
    verdict = judge_capture(outcomes(lambda case: SURVIVED))
    assert verdict.safe
    assert not any(entry.seen.refused for entry in verdict.of_kind(Kind.CONTROL))


def test_bug_a_is_a_refused_query_of_another_streams_event_in_a_global_capture() -> None:
    case = Case(Kind.MUST_SURVIVE, GLOBAL, THREAD_LOCAL, ForeignCall.QUERY_OTHER)
    assert bug_of(Outcome(case, KILLED)) == "A"
    assert bug_of(Outcome(case, SURVIVED)) is None


def test_bug_b_is_a_captured_event_error_for_an_event_from_before_in_any_mode() -> None:
    for mode in (GLOBAL, THREAD_LOCAL, RELAXED):
        case = Case(Kind.MUST_SURVIVE, mode, THREAD_LOCAL, ForeignCall.QUERY_BEFORE)
        assert bug_of(Outcome(case, CAPTURED_EVENT)) == "B"


def test_the_same_error_for_an_event_of_another_stream_is_not_called_bug_b() -> None:
    case = Case(Kind.MUST_SURVIVE, RELAXED, THREAD_LOCAL, ForeignCall.QUERY_OTHER)
    assert bug_of(Outcome(case, CAPTURED_EVENT)) is None


def test_a_death_in_a_control_is_no_bug() -> None:
    case = Case(Kind.CONTROL, GLOBAL, GLOBAL, ForeignCall.QUERY_OTHER)
    assert bug_of(Outcome(case, KILLED)) is None


def test_both_bugs_together_are_reported_in_order(outcomes: Outcomes) -> None:
    def rocm_7_2_0(case: Case) -> Observation | None:
        if case.kind is not Kind.MUST_SURVIVE:
            return None
        if case.call in (ForeignCall.QUERY_BEFORE, ForeignCall.WAIT_BEFORE):
            return CAPTURED_EVENT
        return KILLED if case[1:3] == (GLOBAL, THREAD_LOCAL) else None

    assert judge_capture(outcomes(rocm_7_2_0)).bugs == ["A", "B"]


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (Observation(900, 1, 0, True, 11, 11), "aborts on such an error"),
        (Observation(0, 1, 0, True, 1, 11), "the graph is not whole"),
        (Observation(0, 1, 0, False, -1, 11), "the capture is dead"),
        (Observation(0, 2, 901, False, -1, 11), "the capture is dead"),
        (Observation(0, 1, 0, True, 11, 11, "It died on SIGSEGV."), "SIGSEGV"),
    ],
)
def test_only_a_clean_call_and_a_whole_graph_count_as_survival(seen: Observation, why: str) -> None:
    assert not seen.survived
    assert why in seen.description


def test_a_query_that_says_not_ready_is_no_error() -> None:
    assert Observation(600, 1, 0, True, 11, 11).survived


def test_a_crash_does_not_count_as_an_enforced_control() -> None:
    assert not Observation(-1, -1, -1, False, -1, 0, "It died on SIGSEGV.").refused


def test_the_watchdog_of_pytorch_is_among_the_cases_for_every_capture_mode() -> None:
    for mode in (GLOBAL, THREAD_LOCAL, RELAXED):
        for call in (ForeignCall.QUERY_OTHER, ForeignCall.QUERY_BEFORE):
            assert Case(Kind.MUST_SURVIVE, mode, THREAD_LOCAL, call) in CASES


def test_every_kind_of_case_is_there_and_none_twice() -> None:
    assert {case.kind for case in CASES} == set(Kind)
    assert len(set(CASES)) == len(CASES)
