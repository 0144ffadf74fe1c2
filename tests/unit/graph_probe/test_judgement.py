"""The judgement of an image's all-reduce setting over what was measured."""

from __future__ import annotations

import pytest

from graph_probe.exit_codes import ExitCode
from graph_probe.judgement import judge, judge_image
from image_facts.description import CaptureBug, Facts
from image_servers import SERVERS

ASKED = SERVERS["sglang"].all_reduce
VARIABLE = ASKED.name


@pytest.mark.parametrize("value", ["1", "true", "True", "TRUE"])
def test_what_sglang_reads_as_true_is_aiter(value: str) -> None:
    assert ASKED.chosen({VARIABLE: value}) == ("aiter", None)


@pytest.mark.parametrize("value", ["0", "false", "False", "FALSE"])
def test_what_sglang_reads_as_false_is_its_own(value: str) -> None:
    assert ASKED.chosen({VARIABLE: value}) == ("sglang", None)


@pytest.mark.parametrize("value", ["", "yes", "on", "2", " 1", "true "])
def test_anything_else_is_false_with_a_warning_that_quotes_it(value: str) -> None:
    setting = ASKED.chosen({VARIABLE: value})
    assert setting.name == "sglang"
    assert setting.warning is not None
    assert repr(value) in setting.warning


def test_an_unset_variable_is_sglangs_default_aiter() -> None:
    assert ASKED.chosen({}) == ("aiter", None)


def test_aiter_over_an_unsafe_runtime_is_an_error() -> None:
    judgement = judge(False, ASKED, {VARIABLE: "1"})
    assert judgement.verdict == "unsafe"
    assert judgement.exit_code is ExitCode.UNSAFE_NOT_MITIGATED


def test_off_over_an_unsafe_runtime_passes_as_mitigated_and_says_it_is_not_safe() -> None:
    judgement = judge(False, ASKED, {VARIABLE: "0"})
    assert judgement.verdict == "mitigated"
    assert judgement.exit_code is ExitCode.PASS
    assert "the risk is reduced, not gone" in judgement.sentence


@pytest.mark.parametrize("holds", [None, True])
@pytest.mark.parametrize("value", ["0", "1"])
def test_the_release_that_cures_is_named_where_the_image_knows_it(
    value: str, holds: bool | None
) -> None:
    setting = {VARIABLE: value}
    assert "ROCm 7.2.1 or newer" in judge(False, ASKED, setting, holds, "7.2.1").sentence
    assert "a newer ROCm" in judge(False, ASKED, setting, holds).sentence


def test_aiter_over_a_safe_runtime_passes_without_a_warning() -> None:
    judgement = judge(True, ASKED, {VARIABLE: "1"})
    assert (judgement.verdict, judgement.warning) == ("pass", None)


def test_off_over_a_safe_runtime_passes_with_a_warning() -> None:
    judgement = judge(True, ASKED, {VARIABLE: "0"})
    assert judgement.verdict == "pass"
    assert judgement.warning is not None
    assert "costs speed" in judgement.warning


def test_a_value_that_is_no_boolean_keeps_its_warning_beside_the_others() -> None:
    judgement = judge(True, ASKED, {VARIABLE: "yes"})
    assert judgement.warning is not None
    assert "'yes'" in judgement.warning
    assert "costs speed" in judgement.warning


@pytest.mark.parametrize("value", ["0", "1"])
def test_a_guard_that_holds_over_an_unsafe_runtime_passes_as_guarded(value: str) -> None:
    judgement = judge(False, ASKED, {VARIABLE: value}, guard_holds=True)
    assert (judgement.verdict, judgement.exit_code) == ("guarded", ExitCode.PASS)
    assert judgement.sentence.startswith("Unsafe runtime, guarded")
    # AITER's all-reduce widens the race, so it is not left without a word.
    assert bool(judgement.warning) is (value == "1")


@pytest.mark.parametrize("safe", [True, False])
@pytest.mark.parametrize("value", ["0", "1"])
def test_a_guard_that_does_not_hold_is_an_error_whatever_the_setting(
    safe: bool, value: str
) -> None:
    judgement = judge(safe, ASKED, {VARIABLE: value}, guard_holds=False)
    assert judgement.exit_code is ExitCode.GUARD_FAILED


def test_a_guard_over_a_safe_runtime_is_called_needless() -> None:
    judgement = judge(True, ASKED, {VARIABLE: "1"}, guard_holds=True)
    assert judgement.verdict == "pass"
    assert judgement.warning is not None
    assert "survive a watchdog without it" in judgement.warning


OF_VLLM = SERVERS["vllm"].all_reduce
BOTH = {"VLLM_ROCM_USE_AITER": "1", "VLLM_ROCM_USE_AITER_CUSTOM_AR": "1"}


def test_a_release_without_a_choice_is_judged_by_its_own_all_reduce_whatever_is_set() -> None:
    judgement = judge(False, OF_VLLM, BOTH, version="0.18.1")
    assert (judgement.all_reduce, judgement.verdict) == ("vllm", "mitigated")
    assert judgement.sentence.startswith("vLLM 0.18.1 has no choice of its all-reduce, over a")
    # There is no speed to be had by a variable that is not read.
    assert judge(True, OF_VLLM, {}, version="0.18.1").warning is None


@pytest.mark.parametrize(("version", "verdict"), [("0.18.1", "mitigated"), ("0.27.1", "unsafe")])
def test_an_image_is_judged_by_the_release_that_it_holds(version: str, verdict: str) -> None:
    facts = Facts(server="vllm", versions={"vllm": version}, capture_bug=CaptureBug(True, "7.2.1"))
    judgement = judge_image(False, facts, BOTH, None)
    assert judgement.verdict == verdict
    assert "ROCm 7.2.1 or newer" in judgement.sentence


def test_aiters_is_judged_unsafe_in_a_release_of_vllm_that_takes_it() -> None:
    judgement = judge(False, OF_VLLM, BOTH, version="0.27.1")
    assert (judgement.all_reduce, judgement.verdict) == ("aiter", "unsafe")
    assert "VLLM_ROCM_USE_AITER_CUSTOM_AR=0" in judgement.sentence


def test_aiters_is_not_advised_where_it_would_take_all_of_aiter() -> None:
    assert judge(True, OF_VLLM, {}, version="0.27.1").warning is None
    off = {**BOTH, "VLLM_ROCM_USE_AITER_CUSTOM_AR": "0"}
    warning = judge(True, OF_VLLM, off, version="0.27.1").warning
    assert warning is not None
    assert "costs speed: VLLM_ROCM_USE_AITER_CUSTOM_AR=1 is possible" in warning
