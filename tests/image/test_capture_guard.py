"""The capture guard is in the images that need one, off until asked for, and then it holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from testinfra.host import Host

from conftest import FEW_STEPS, ImageUnderTest, ProbeRun

LIBRARY = "/opt/rocm-images/lib/libcapture_guard.so"
# Exit codes of graph-probe (docs/probe.md).
PASS, UNSAFE = 0, 15


def started(host: Host, words: str, **variables: str) -> tuple[int, str, str]:
    """What docker run would start with these variables: the entrypoint, and through it `words`."""
    given = " ".join(f"{name}={value}" for name, value in variables.items())
    answer = host.run(f"env {given} ROCM_IMAGES_SKIP_PREFLIGHT=1 rocm-entrypoint {words}")
    return answer.rc, answer.stdout, answer.stderr


def probed(
    host: Host, image: ImageUnderTest, words: str, *, devices: int = 2, **variables: str
) -> tuple[int, dict[str, Any]]:
    guarded = ["rocm-entrypoint", "graph-probe", *words.split(), *FEW_STEPS, "--json"]
    before = image.machine.before(devices=devices, ROCM_IMAGES_SKIP_PREFLIGHT="1", **variables)
    answer = host.run(" ".join([*before, *guarded]))
    return answer.rc, json.loads(answer.stdout)


def guard_check(report: dict[str, Any]) -> tuple[str, str]:
    """The doctor's word for the guard, and what it found."""
    checks = {check["name"]: check for check in report["checks"]}
    return checks["capture-guard"]["status"], checks["capture-guard"]["found"]


def test_the_library_is_where_the_advisory_applies(image: ImageUnderTest, host: Host) -> None:
    assert host.file(LIBRARY).exists is image.cell.capture_guard


def test_nothing_is_preloaded_unless_asked_for(image: ImageUnderTest, host: Host) -> None:
    for variables in ({}, {"CAPTURE_GUARD": "0"}):
        code, out, err = started(host, "env", **variables)
        assert (code, "LD_PRELOAD" in out, err) == (0, False, "")


def test_asked_for_it_is_preloaded_or_one_sentence_says_that_there_is_none(
    image: ImageUnderTest, host: Host
) -> None:
    code, out, err = started(host, "cat /proc/self/maps", CAPTURE_GUARD="1")
    assert code == 0
    assert (LIBRARY in out) is image.cell.capture_guard
    assert ("no capture guard" in err) is not image.cell.capture_guard


def test_a_value_that_is_neither_on_nor_off_is_refused(image: ImageUnderTest, host: Host) -> None:
    code, out, err = started(host, "echo hello", CAPTURE_GUARD="yes")
    assert (code, out) == (2, "")
    assert "CAPTURE_GUARD is 'yes'" in err


def test_the_doctor_says_whether_it_is_on(
    image: ImageUnderTest, host: Host, report: dict[str, Any]
) -> None:
    guard = image.cell.capture_guard
    status, found = guard_check(report)
    assert (status, "off" in found) == ("pass", guard)
    _, out, _ = started(host, "doctor --json", CAPTURE_GUARD="1")
    status, found = guard_check(json.loads(out))
    assert (status, "on in this process" in found) == ("pass" if guard else "warn", guard)


@pytest.mark.device
def test_as_it_is_the_image_runs_without_the_guard(image: ImageUnderTest, run: ProbeRun) -> None:
    found = run.found["guard"]
    assert (found["available"], found["loaded"]) == (image.cell.capture_guard, False)


@pytest.mark.device
@pytest.mark.guarded
def test_with_the_guard_the_all_reduce_of_the_bug_passes_on_the_unsafe_runtime(
    image: ImageUnderTest, host: Host
) -> None:
    # Without the guard the same run ends with 10: test_graph_probe.
    parts, asked = "run --only capture decode", {image.cell.server.all_reduce.name: "1"}
    code, found = probed(host, image, parts, **asked, CAPTURE_GUARD="1")
    assert code == PASS, found["sentence"]
    assert found["decode"]["watchdog"] is True
    assert (found["guard"]["loaded"], found["guard"]["verdict"]) == (True, "holds")
    assert found["judgement"]["verdict"] == "guarded"
    assert found["capture"]["verdict"] == "unsafe"
    assert found["sentence"].startswith("Unsafe runtime, guarded")
    assert all(case["survived"] for case in found["guard"]["cases"])


@pytest.mark.no_gpu
@pytest.mark.guarded
@pytest.mark.parametrize("devices", [1, 4])
def test_a_decode_beside_a_watchdog_needs_the_guard_on_any_number_of_ranks(
    image: ImageUnderTest, host: Host, devices: int
) -> None:
    words = "decode --watchdog"
    code, found = probed(host, image, words, devices=devices, CAPTURE_GUARD="1")
    assert code == PASS, found["sentence"]
    assert found["decode"]["devices"] == devices
    bare, _ = probed(host, image, words, devices=devices)
    assert bare == UNSAFE
