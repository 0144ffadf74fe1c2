"""The replays: what their nodes compute, which processes make them, and the verdict they give."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from scripted import LEAD, Stage, play

from graph_probe import replay_model, replay_report
from graph_probe.case_jobs import parallel_cases
from graph_probe.command_line import conclude
from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.findings import Findings
from graph_probe.judgement import judge
from graph_probe.options import parse
from graph_probe.replay_cases import CASES, OTHER_STREAMS, SWITCHES, ReplayVerdict
from graph_probe.replay_scenes import SCENES
from graph_probe.supervisor import Ended
from image_servers import SERVERS

TWO_ROOTS, MEMSET = 2, 5
SEGMENTS, PACKETS = SWITCHES
EMULATOR = ["/emulator/libhsa-runtime64.so.1", "cd34", "1.0"]


def replays(
    stage: Stage, environment: dict[str, str] | None = None, arguments: tuple[str, ...] = ()
) -> ReplayVerdict:
    verdict = play(stage, ["replay", *arguments], environment).replay
    assert verdict is not None
    return verdict


def on(backend: str = "hip", emulated: bool = False) -> Stage:
    library = {**LEAD[0], "libraries": [backend, "a", "b", "a"]}  # type: ignore[dict-item]
    runtime = ["hip", "/lib/libamdhip64.so", 70253211, "text", False, "ab12"]
    facts = {**LEAD[1], "runtime": [*runtime, EMULATOR if emulated else None]}  # type: ignore[dict-item]
    return Stage({"lead": [library, facts, LEAD[2], Ended(0)]})


def roots_unless_segments(case: int, environment: Mapping[str, str]) -> int:
    """As AMD's 7.2.4 on emulated GPUs."""
    return 7 if case == TWO_ROOTS and SEGMENTS.variable not in environment else 0


def memset_unless_packets(case: int, environment: Mapping[str, str]) -> int:
    """As AMD's 6.4.3 on emulated GPUs."""
    return 6 if case == MEMSET and PACKETS.variable not in environment else 0


def test_the_model_mixes_as_the_kernels_do() -> None:
    # By hand from kernels.cpp: 1 * 0x9e3779b1 = 0x9e3779b1, ^ >> 15 = 0x9e3645df, and so on.
    first = 0x9E3779B1 ^ (0x9E3779B1 >> 15)
    second = first * 0x85EBCA77 % (1 << 32)
    assert replay_model.mixed(3, 2) == second ^ (second >> 13)
    assert replay_model.mix([3, 3], 2) == [replay_model.mixed(3, 2), replay_model.mixed(3, 3)]
    assert replay_model.mix_two([3], [2]) == [replay_model.mixed(3, 2)]
    made = replay_model.mixed(replay_model.mixed(1, 0), 1)
    assert replay_model.work([9], 2) == [replay_model.mixed(9, made)]


def test_every_case_has_a_name_of_its_own_and_a_scene() -> None:
    assert [case.name for case in CASES] == list(SCENES)


def test_all_cases_are_replayed_in_a_fresh_process_for_each_number_of_other_streams() -> None:
    stage = on()
    verdict = replays(stage)
    assert verdict.right
    assert verdict.cures == []
    assert len(stage.replay_processes) == len(OTHER_STREAMS)
    for result in verdict.results:
        assert [seen.other_streams for seen in result.seen] == list(OTHER_STREAMS)


@pytest.mark.parametrize("number", range(len(CASES)))
def test_one_wrong_replay_in_one_process_makes_the_verdict_wrong(number: int) -> None:
    stage = on("cuda")
    left = [1]
    stage.replayed = lambda case, _: left.pop() if case == number and left else 0
    verdict = replays(stage)
    assert [result.case for result in verdict.wrong] == [CASES[number]]
    assert (verdict.wrong[0].wrong, verdict.wrong[0].replays) == (1, 48)
    assert len(verdict.wrong[0].wrong_in) == 1


def test_the_switch_that_cures_is_found_and_the_next_is_not_tried() -> None:
    stage = on()
    stage.replayed = roots_unless_segments
    verdict = replays(stage)
    assert verdict.cured_by(CASES[TWO_ROOTS]) == [SEGMENTS.text]
    assert [cure.switch for cure in verdict.cures] == [SEGMENTS]
    assert "two-roots (cured here by DEBUG_HIP_GRAPH_SEGMENT_SCHEDULING=0)" in verdict.sentence
    assert f"cure     {SEGMENTS.text}: all that was wrong was right" in replay_report.text(verdict)


def test_a_switch_that_does_not_cure_is_followed_by_the_next() -> None:
    stage = on()
    stage.replayed = memset_unless_packets
    verdict = replays(stage)
    assert [cure.switch for cure in verdict.cures] == [SEGMENTS, PACKETS]
    assert verdict.cured_by(CASES[MEMSET]) == [PACKETS.text]
    text = replay_report.text(verdict)
    assert f"no cure  {SEGMENTS.text}: does not cure memset" in text
    assert "36 of 48 replays wrong, in 6 of 6 processes; first in replay 2" in text


def test_a_switch_is_tried_in_as_many_processes_with_only_what_was_wrong() -> None:
    stage = on()
    stage.replayed = roots_unless_segments
    replays(stage)
    tried = [c for c in stage.replay_processes if SEGMENTS.variable in c.environment]
    assert len(tried) == len(OTHER_STREAMS)
    assert all(child.environment[SEGMENTS.variable] == "0" for child in tried)


def test_one_process_that_stays_wrong_makes_a_switch_no_cure() -> None:
    stage = on()
    wrong = [1]

    def nearly(case: int, environment: Mapping[str, str]) -> int:
        if case != TWO_ROOTS:
            return 0
        return (
            wrong.pop()
            if SEGMENTS.variable in environment and wrong
            else 3 * (not environment.keys() & {SEGMENTS.variable, PACKETS.variable})
        )

    stage.replayed = nearly
    verdict = replays(stage)
    assert verdict.cured_by(CASES[TWO_ROOTS]) == [PACKETS.text]


def test_what_no_switch_cures_is_said_to_be_so() -> None:
    stage = on()
    stage.replayed = lambda case, _: int(case == 0)
    verdict = replays(stage)
    assert verdict.sentence == "chain (cured here by no switch)"


def test_a_switch_that_is_set_already_is_named_and_not_tried() -> None:
    stage = on()
    stage.replayed = lambda case, _: int(case == 0)
    verdict = replays(stage, {SEGMENTS.variable: "0"})
    assert [cure.switch for cure in verdict.cures] == [PACKETS]
    assert f"set      {SEGMENTS.text} in this environment" in replay_report.text(verdict)


def test_right_replays_under_a_switch_say_that_it_is_set() -> None:
    verdict = replays(on(), {SEGMENTS.variable: "0"})
    assert verdict.right
    assert f"set      {SEGMENTS.text} in this environment" in replay_report.text(verdict)
    assert replay_report.as_json(verdict)["switches_set"] == {SEGMENTS.variable: "0"}


def test_no_switch_of_hip_is_tried_on_cuda() -> None:
    stage = on("cuda")
    stage.replayed = lambda case, _: int(case == 0)
    assert replays(stage).cures == []


def test_a_case_that_its_process_dies_in_is_wrong_by_the_signal_and_the_others_go_on() -> None:
    stage = on("cuda")
    died = [Ended(-11)]
    stage.replayed = lambda case, _: died.pop() if case == MEMSET and died else 0
    verdict = replays(stage)
    assert [result.case.name for result in verdict.wrong] == ["memset"]
    assert "SIGSEGV" in verdict.wrong[0].wrong_in[0].problem
    assert "SIGSEGV" in replay_report.text(verdict)
    assert len(stage.replay_processes) == len(OTHER_STREAMS) + 1
    assert all(len(result.seen) == len(OTHER_STREAMS) for result in verdict.results)


def test_a_case_that_does_not_end_is_wrong_and_is_not_waited_for_in_every_process() -> None:
    stage = on()
    stage.replayed = lambda case, _: Ended(-14) if case == MEMSET else 0
    verdict = replays(stage)
    assert [result.case.name for result in verdict.wrong] == ["memset"]
    assert {seen.problem for seen in verdict.wrong[0].wrong_in} == {"It did not end within 15 s."}
    assert len(verdict.wrong[0].seen) <= max(parallel_cases(), 2)
    assert verdict.cures == []
    others = [result for result in verdict.results if result.right]
    assert all(len(result.seen) == len(OTHER_STREAMS) for result in others)
    assert "memset (a memset node and kernels after it): not ended in" in replay_report.text(
        verdict
    )


def test_a_hang_leaves_the_search_for_a_cure_to_what_else_was_wrong() -> None:
    stage = on()
    stage.replayed = lambda case, environment: (
        Ended(-14) if case == MEMSET else roots_unless_segments(case, environment)
    )
    verdict = replays(stage)
    assert [result.case.name for result in verdict.wrong] == ["two-roots", "memset"]
    assert verdict.cured_by(CASES[TWO_ROOTS]) == [SEGMENTS.text]
    tried = {result.case.name for cure in verdict.cures for result in cure.results}
    assert tried == {"two-roots"}
    assert [cure.switch for cure in verdict.cures] == [SEGMENTS]


def test_a_process_that_dies_before_any_case_ends_the_probe() -> None:
    stage = on()
    start = stage.start

    def dying(name: str, specification: dict[str, object], **environment: str) -> object:
        child = start(name, specification, **environment)
        if specification["role"] == "replay":
            child.says[:] = [Ended(-11)]
        return child

    stage.start = dying  # type: ignore[method-assign, assignment]
    with pytest.raises(ProbeError, match="SIGSEGV") as caught:
        replays(stage)
    assert caught.value.code is ExitCode.DIED_ON_SIGNAL


def test_on_emulated_gpus_each_process_has_a_fixed_seed_of_its_own() -> None:
    stage = on(emulated=True)
    verdict = replays(stage)
    seeds = [child.environment["HSA_STANDIN_OVERLAP"] for child in stage.replay_processes]
    assert seeds == verdict.seeds == ["1", "2", "3", "4", "5", "6"]
    assert "seeds 1 2 3 4 5 6" in replay_report.text(verdict)


def test_a_seed_of_the_callers_is_used_for_every_process() -> None:
    stage = on(emulated=True)
    verdict = replays(stage, {"HSA_STANDIN_OVERLAP": "77"})
    assert {child.environment["HSA_STANDIN_OVERLAP"] for child in stage.replay_processes} == {"77"}
    assert set(verdict.seeds) == {"77"}


def test_without_an_emulator_no_seed_is_set() -> None:
    stage = on()
    assert replays(stage).seeds == []
    assert not any("HSA_STANDIN_OVERLAP" in child.environment for child in stage.replay_processes)


def test_the_json_object_has_the_verdict_the_cases_and_what_was_tried() -> None:
    stage = on()
    stage.replayed = memset_unless_packets
    told = replay_report.as_json(replays(stage))
    assert told["verdict"] == "replays-wrong"
    memset = told["cases"][MEMSET]
    assert (memset["wrong"], memset["wrong_processes"], memset["processes"]) == (36, 6, 6)
    assert memset["first_wrong"] == {"other_streams": 0, "replay": 2, "value": 5, "expected": 6}
    assert memset["cured_by"] == [PACKETS.text]
    tried = [(cure["variable"], cure["cases"][0]["right"]) for cure in told["cures_tried"]]
    assert tried == [(SEGMENTS.variable, False), (PACKETS.variable, True)]


def found(stage: Stage) -> Findings:
    return Findings(replay=replays(stage))


def test_wrong_replays_have_an_exit_code_of_their_own_that_names_the_cure() -> None:
    stage = on()
    stage.replayed = roots_unless_segments
    code, sentence = conclude(parse(["replay"]), found(stage))
    assert code is ExitCode.REPLAY_WRONG == 18
    assert SEGMENTS.text in sentence
    assert conclude(parse(["replay"]), found(on()))[0] is ExitCode.PASS


@pytest.mark.parametrize(
    ("safe", "setting", "code"),
    [
        (True, "1", ExitCode.REPLAY_WRONG),
        (False, "0", ExitCode.REPLAY_WRONG),
        (False, "1", ExitCode.UNSAFE_NOT_MITIGATED),
    ],
)
def test_an_unsafe_runtime_comes_before_wrong_replays(
    safe: bool, setting: str, code: ExitCode
) -> None:
    stage = on()
    stage.replayed = roots_unless_segments
    findings = found(stage)
    findings.judgement = judge(safe, SERVERS["sglang"].all_reduce, {"SGLANG_USE_AITER_AR": setting})
    assert conclude(parse(["run"]), findings)[0] is code
