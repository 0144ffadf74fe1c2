"""A session with scripted children: no missing result can look like a pass."""

from __future__ import annotations

import pytest
from scripted import DECODED, LEAD, READY, REFERENCE, Stage, play

from graph_probe.case_jobs import parallel_cases
from graph_probe.cases import CASES, ForeignCall, Kind
from graph_probe.channel import Message
from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.supervisor import Ended


def test_a_whole_script_gives_all_findings() -> None:
    stage = Stage({"lead": [*LEAD, READY, DECODED, Ended(0)], "reference": REFERENCE})
    findings = play(stage, ["run", "--batch", "1", "--steps", "2"])
    assert findings.capture is not None
    assert findings.capture.safe
    assert findings.decode is not None
    assert findings.decode.problem is None
    assert findings.replay is not None
    assert findings.replay.right
    assert stage.children[0].told == [{"watchdog": True}]


@pytest.mark.parametrize(
    "scripts",
    [
        {"lead": [*LEAD, READY, DECODED, Ended(0)], "reference": [Ended(0)]},
        {"lead": [*LEAD, READY, Ended(0)], "reference": REFERENCE},
        {"lead": [*LEAD, Ended(0)], "reference": REFERENCE},
        {"lead": [Ended(0)], "reference": REFERENCE},
        {"lead": [], "reference": []},
    ],
)
def test_children_that_end_without_their_results_are_no_pass(
    scripts: dict[str, list[Message | Ended]],
) -> None:
    with pytest.raises(ProbeError) as caught:
        play(Stage(scripts), ["run", "--batch", "1", "--steps", "2"])
    assert caught.value.code is ExitCode.PROBE_DEFECT


@pytest.mark.parametrize("index", range(len(CASES)))
def test_a_case_that_dies_ends_the_probe_only_where_it_decides_the_verdict(index: int) -> None:
    stage = Stage({"lead": [*LEAD, Ended(0)]}, dying=index)
    if CASES[index].kind is Kind.MUST_SURVIVE:
        with pytest.raises(ProbeError, match="died on SIGSEGV") as caught:
            play(stage, ["capture"])
        assert caught.value.code is ExitCode.DIED_ON_SIGNAL
    else:
        capture = play(stage, ["capture"]).capture
        assert capture is not None
        assert "SIGSEGV" in capture.outcomes[index].seen.description


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ({}, {"HIP_VISIBLE_DEVICES": "0"}),
        ({"HIP_VISIBLE_DEVICES": "3,1"}, {"HIP_VISIBLE_DEVICES": "3"}),
        ({"CUDA_VISIBLE_DEVICES": "2,3"}, {"CUDA_VISIBLE_DEVICES": "2"}),
    ],
)
def test_each_case_sees_the_first_of_the_devices_that_the_probe_sees(
    given: dict[str, str], passed: dict[str, str]
) -> None:
    stage = Stage({"lead": [*LEAD, Ended(0)]})
    play(stage, ["capture"], given)
    assert stage.environments == [passed] * len(stage.case_processes)


def test_a_child_that_reports_an_error_ends_the_probe_with_its_code() -> None:
    failed: Message = {"kind": "error", "code": 21, "sentence": "Device 0 is gfx942."}
    with pytest.raises(ProbeError, match="gfx942") as caught:
        play(Stage({"lead": [*LEAD[:2], failed]}), ["capture"])
    assert caught.value.code is ExitCode.WRONG_GFX


LEADS = {
    "hip": [*LEAD, Ended(0)],
    "cuda": [{**LEAD[0], "libraries": ["cuda", "a", "b", "a"]}, *LEAD[1:], Ended(0)],  # type: ignore[dict-item]
}


@pytest.mark.parametrize("backend", ["hip", "cuda"])
def test_a_process_whose_captures_survive_takes_one_case_after_the_other(backend: str) -> None:
    stage = Stage({"lead": LEADS[backend]})
    play(stage, ["capture"])
    taken = [case for child in stage.case_processes for case in child.took]
    assert sorted(taken) == list(range(len(CASES)))
    assert len(stage.case_processes) == (1 if backend == "cuda" else parallel_cases())


@pytest.mark.parametrize("backend", ["hip", "cuda"])
def test_no_case_follows_a_dead_capture_that_should_have_lived(backend: str) -> None:
    deadly = {index for index, case in enumerate(CASES) if case.kind is Kind.MUST_SURVIVE}
    stage = Stage({"lead": LEADS[backend]}, deadly=deadly)
    play(stage, ["capture"])
    for child in stage.case_processes:
        assert not deadly.intersection(child.took[:-1])
    taken = [case for child in stage.case_processes for case in child.took]
    assert sorted(taken) == list(range(len(CASES)))


@pytest.mark.parametrize("index", range(len(CASES)))
def test_a_case_whose_used_process_died_is_judged_in_a_fresh_one(index: int) -> None:
    stage = Stage({"lead": LEADS["cuda"]}, dying=index, dying_only_later=True)
    capture = play(stage, ["capture"]).capture
    assert capture is not None
    assert all(entry.seen.crash == "" for entry in capture.outcomes)
    alone = [child for child in stage.case_processes if child.took[0] == index]
    assert len(alone) == 1


def test_a_case_whose_call_the_runtime_lacks_is_left_out() -> None:
    lead = [{**LEAD[0], "lacks": ["MemsetD8"]}, *LEAD[1:], Ended(0)]  # type: ignore[dict-item]
    capture = play(Stage({"lead": lead}), ["capture"]).capture
    assert capture is not None
    calls = [entry.case.call for entry in capture.outcomes]
    assert ForeignCall.FILL_BYTES not in calls
    assert len(calls) == len(CASES) - 1


def guarded_stage(through_the_guard: list[object]) -> Stage:
    """With the capture guard loaded over a runtime whose captures all die."""
    library = {**LEAD[0], "guard": "/lib/libcapture_guard.so"}  # type: ignore[dict-item]
    lead = [library, *LEAD[1:], READY, DECODED, Ended(0)]
    stage = Stage({"lead": lead, "reference": REFERENCE}, deadly=set(range(len(CASES))))
    stage.through_the_guard = through_the_guard
    return stage


HELD: list[object] = [600, 1, 0, True, 11, 11, ""]


def test_with_a_guard_the_runtime_is_measured_past_it_and_then_through_it() -> None:
    stage = guarded_stage(HELD)
    findings = play(stage, ["run", "--batch", "1", "--steps", "2"])
    assert findings.capture is not None
    assert findings.guarded is not None
    assert (findings.capture.safe, findings.guarded.safe) == (False, True)
    must_survive = [case for case in CASES if case.kind is Kind.MUST_SURVIVE]
    assert len(findings.guarded.outcomes) == len(must_survive)
    assert stage.children[0].told == [{"watchdog": True}]


def test_a_guard_that_lets_a_case_die_does_not_get_a_watchdog_in_the_decode() -> None:
    stage = guarded_stage([900, 2, 901, False, -1, 11, ""])
    findings = play(stage, ["run", "--batch", "1", "--steps", "2"])
    assert findings.guarded is not None
    assert not findings.guarded.safe
    assert stage.children[0].told == [{"watchdog": False}]
