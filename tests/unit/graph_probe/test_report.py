"""The JSON object and the text that findings become."""

from __future__ import annotations

import json
from collections.abc import Callable

from graph_probe import report
from graph_probe.cases import ForeignCall, Kind, Outcome, judge_capture
from graph_probe.device import Device, RuntimeFacts, version_text
from graph_probe.exit_codes import ExitCode
from graph_probe.findings import BatchResult, DecodeResult, Findings
from graph_probe.judgement import judge
from graph_probe.tokens import BatchCheck
from image_facts.hip_builds import HipBuild
from image_servers import SERVERS
from observations import CAPTURED_EVENT, KILLED

Outcomes = Callable[..., list[Outcome]]

KEYS = {
    "schema_version", "command", "exit_code", "exit_name", "sentence", "runtime", "devices",
    "capture", "guard", "replay", "decode", "fresh", "judgement", "notes", "seconds",
}  # fmt: skip


def whole(outcomes: Outcomes) -> Findings:
    batch = BatchResult(BatchCheck(4, 272, 256, 40, None), 1000.04, 3000.06)
    return Findings(
        runtime=RuntimeFacts(
            "hip", "/opt/rocm/lib/libamdhip64.so.7", 70226015, "text", True, "ab12"
        ),
        devices=[Device(0, "HIP stand-in (no GPU)", "gfx942", "gfx942:xnack-")],
        capture=judge_capture(
            outcomes(
                lambda case: (
                    CAPTURED_EVENT
                    if case.kind is Kind.MUST_SURVIVE and case.call is ForeignCall.QUERY_BEFORE
                    else None
                )
            )
        ),
        decode=DecodeResult(1, 64, False, 0, (batch,)),
        judgement=judge(False, SERVERS["sglang"].all_reduce, {"SGLANG_USE_AITER_AR": "0"}),
        seconds={"total": 1.23456},
    )


def test_the_object_always_has_the_same_keys(outcomes: Outcomes) -> None:
    empty = report.as_json(None, Findings(), ExitCode.BAD_ARGUMENTS, "Bad.")
    full = report.as_json("run", whole(outcomes), ExitCode.PASS, "Good.")
    assert set(empty) == set(full) == KEYS
    assert empty["schema_version"] == full["schema_version"] == 1


def test_the_object_survives_json_as_it_is(outcomes: Outcomes) -> None:
    full = report.as_json("run", whole(outcomes), ExitCode.PASS, "Good.")
    assert json.loads(json.dumps(full)) == full


def test_the_runtime_and_the_devices_are_named(outcomes: Outcomes) -> None:
    full = report.as_json("run", whole(outcomes), ExitCode.PASS, "Good.")
    assert full["runtime"] == {
        "backend": "hip",
        "path": "/opt/rocm/lib/libamdhip64.so.7",
        "version": 70226015,
        "version_text": "text",
        "is_stand_in": True,
        "sha256": "ab12",
        "emulator": None,
    }
    assert full["devices"] == [{"index": 0, "name": "HIP stand-in (no GPU)", "gfx": "gfx942"}]


def test_each_case_says_whether_it_survived_and_by_which_bug_not(outcomes: Outcomes) -> None:
    capture = report.as_json("run", whole(outcomes), ExitCode.PASS, "Good.")["capture"]
    assert capture["verdict"] == "unsafe"
    assert capture["bugs"] == ["B"]
    dead = [case for case in capture["cases"] if not case["survived"]]
    assert dead
    assert all(case["bug"] == "B" and "CapturedEvent" in case["description"] for case in dead)
    assert all(control["enforced"] for control in capture["controls"])
    assert not any(entry["survived"] for entry in capture["information"])


def test_a_batch_has_its_rates_and_its_counts(outcomes: Outcomes) -> None:
    decode = report.as_json("run", whole(outcomes), ExitCode.PASS, "Good.")["decode"]
    assert decode["batches"] == [
        {
            "batch": 4,
            "tokens_per_second": {"eager": 1000.0, "replay": 3000.1},
            "tokens_checked": 272,
            "reference_checked": 256,
            "distinct_tokens": 40,
            "problem": None,
        }
    ]


def test_the_judgement_has_its_setting_verdict_and_warning(outcomes: Outcomes) -> None:
    judged = report.as_json("run", whole(outcomes), ExitCode.PASS, "Good.")["judgement"]
    assert (judged["all_reduce"], judged["verdict"]) == ("sglang", "mitigated")
    assert judged["warning"] is None


def test_a_stand_in_is_called_one_in_the_text(outcomes: Outcomes) -> None:
    assert "(a stand-in, no GPU)" in report.runtime_text(whole(outcomes))


def test_an_unsafe_verdict_names_each_case_and_its_bug(outcomes: Outcomes) -> None:
    dead = judge_capture(outcomes(lambda c: KILLED if c.call is ForeignCall.WAIT_OTHER else None))
    text = report.capture_text(dead)
    assert "UNSAFE: 2 of 16" in text
    assert "bug A" in text
    assert text.count("hipEventSynchronize with an event of another stream") == 2


def test_a_control_that_survived_is_reported_as_not_enforced(outcomes: Outcomes) -> None:
    lax = judge_capture(outcomes(lambda c: KILLED._replace(end_status=0, has_graph=True)
                                 if c.kind is Kind.CONTROL else None))  # fmt: skip
    text = report.capture_text(lax)
    assert text.count("NOT enforced") == 3
    assert "survives a watchdog: all 16" in text


def test_the_version_integer_is_told_as_the_rocm_release_it_belongs_to() -> None:
    builds = [
        HipBuild.of("7.2.26015", "7.2.0", "7.2.0"),
        HipBuild.of("7.2.53211", "7.2.1", "7.2.4"),
    ]
    assert version_text("hip", 70226015, builds) == "HIP 7.2.26015, ROCm 7.2.0"
    assert version_text("hip", 70253211, builds) == "HIP 7.2.53211, ROCm 7.2.1 to 7.2.4"
    unknown = "HIP 7.3.99999, ROCm 7.3, patch release unknown"
    assert version_text("hip", 70399999, builds) == unknown
    assert version_text("cuda", 13000, builds) == "CUDA 13.0"


def test_emulated_gpus_and_the_stand_in_are_two_things_and_both_are_said(
    outcomes: Outcomes,
) -> None:
    findings = whole(outcomes)
    assert findings.runtime is not None
    assert "(a stand-in, no GPU)" in report.runtime_text(findings)
    emulator = ["/emulator/libhsa-runtime64.so.1", "cd34", "1.0"]
    sent = [*findings.runtime._replace(is_stand_in=False)[:-1], emulator]
    findings.runtime = RuntimeFacts.of_message(sent)
    text = report.runtime_text(findings)
    assert "(on emulated GPUs)" in text
    assert "emulated by /emulator/libhsa-runtime64.so.1, version 1.0" in text
    assert "stand-in" not in text.splitlines()[0]
    told = report.as_json("run", findings, ExitCode.PASS, "Good.")["runtime"]["emulator"]
    assert told == {"path": emulator[0], "sha256": "cd34", "version": "1.0"}


def test_the_guard_is_told_by_its_path_and_its_verdict(outcomes: Outcomes) -> None:
    findings = whole(outcomes)
    assert report.as_json("run", findings, ExitCode.PASS, "Good.")["guard"]["loaded"] is False
    must = [entry for entry in outcomes() if entry.case.kind is Kind.MUST_SURVIVE]
    findings.guard_path, findings.guarded = "/lib/libcapture_guard.so", judge_capture(must)
    told = report.as_json("run", findings, ExitCode.PASS, "Good.")["guard"]
    assert (told["loaded"], told["path"], told["verdict"]) == (True, findings.guard_path, "holds")
    assert len(told["cases"]) == 16
    assert "holds: all 16" in report.guard_text("/lib/libcapture_guard.so", findings.guarded)


def test_a_guard_that_fails_is_told_with_each_case(outcomes: Outcomes) -> None:
    dead = judge_capture(outcomes(lambda c: KILLED if c.call is ForeignCall.WAIT_OTHER else None))
    text = report.guard_text("/lib/libcapture_guard.so", dead)
    assert "FAILS: 2 of 16" in text
    assert text.count("hipEventSynchronize with an event of another stream") == 2
