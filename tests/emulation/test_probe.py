"""graph-probe tells AMD's own runtimes apart, on emulated GPUs, by what they do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rehearsal.laboratory import Laboratory

PROBE = "images/rootfs/usr/local/bin/graph-probe"
PASS, UNSAFE_NOT_MITIGATED, UNSAFE, REPLAY_WRONG = 0, 10, 15, 18
SEGMENTS = {"DEBUG_HIP_GRAPH_SEGMENT_SCHEDULING": "0"}
PACKETS = {"DEBUG_CLR_GRAPH_PACKET_CAPTURE": "0"}
INTEGER = {"7.2.4": 70253211, "6.4.3": 60443484}
SABOTAGES = [
    ("gfx942", "same-thread-sync", 12),
    ("gfx950", "wrong-token", 11),
    ("gfx950", "global-watchdog", UNSAFE),
]


def probed(
    laboratory: Laboratory, release: str, *words: str, **variables: str
) -> tuple[int, dict[str, Any]]:
    """The exit code and the findings; the runtime that was measured is AMD's of that release."""
    runtime = laboratory.runtime(release)
    environment = {**runtime.environment, **variables}
    done = laboratory.run(PROBE, *words, "--json", env=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    mapped = found["runtime"]
    # Were another library measured in its place, nothing below would prove anything.
    real = laboratory.run("readlink", "-f", runtime.lib).stdout.strip()
    assert mapped["path"] == real
    assert mapped["sha256"] == laboratory.run("sha256sum", real).stdout.split()[0]
    assert mapped["is_stand_in"] is False
    assert mapped["emulator"]["path"] == "/opt/emulation/libhsa-runtime64.so.1"
    if runtime.pinned:
        assert mapped["version"] == INTEGER[release]
    return done.returncode, found


def test_a_watchdog_kills_no_capture_on_7_2_4(laboratory: Laboratory) -> None:
    code, found = probed(laboratory, "7.2.4", "capture")
    assert (code, found["capture"]["verdict"]) == (PASS, "safe")
    assert len(found["capture"]["cases"]) == 16
    assert all(control["enforced"] for control in found["capture"]["controls"])


def test_a_watchdog_kills_captures_on_6_4_3_by_both_published_bugs(laboratory: Laboratory) -> None:
    code, found = probed(laboratory, "6.4.3", "capture")
    assert (code, found["capture"]["verdict"]) == (UNSAFE, "unsafe")
    assert found["capture"]["bugs"] == ["A", "B"]
    assert len([case for case in found["capture"]["cases"] if not case["survived"]]) == 9
    assert all(control["enforced"] for control in found["capture"]["controls"])


@pytest.mark.parametrize(
    ("release", "wrong", "cure"),
    [("7.2.4", "two-roots", SEGMENTS), ("6.4.3", "memset", PACKETS)],
)
def test_wrong_replays_are_seen_and_the_switch_that_cures_them_is_named(
    laboratory: Laboratory, release: str, wrong: str, cure: dict[str, str]
) -> None:
    code, found = probed(laboratory, release, "replay")
    assert (code, found["replay"]["verdict"]) == (REPLAY_WRONG, "replays-wrong")
    cases = {case["name"]: case for case in found["replay"]["cases"]}
    assert not cases[wrong]["right"]
    assert cases["chain"]["right"]
    ((name, value),) = cure.items()
    assert cases[wrong]["cured_by"] == [f"{name}={value}"]


@pytest.mark.parametrize(("release", "cure"), [("7.2.4", SEGMENTS), ("6.4.3", PACKETS)])
def test_with_the_switch_set_every_replay_is_right(
    laboratory: Laboratory, release: str, cure: dict[str, str]
) -> None:
    code, found = probed(laboratory, release, "replay", **cure)
    assert (code, found["replay"]["verdict"]) == (PASS, "replays-right")
    assert found["replay"]["switches_set"] == cure


def test_aiter_all_reduce_passes_on_7_2_4_and_not_on_6_4_3(laboratory: Laboratory) -> None:
    few = ("run", "--only", "capture", "decode", "--steps", "8")
    code, found = probed(laboratory, "7.2.4", *few, SGLANG_USE_AITER_AR="1")
    assert (code, found["judgement"]["verdict"]) == (PASS, "pass")
    assert found["decode"]["watchdog_queries"] > 0
    code, found = probed(laboratory, "6.4.3", *few, SGLANG_USE_AITER_AR="1")
    assert (code, found["judgement"]["verdict"]) == (UNSAFE_NOT_MITIGATED, "unsafe")
    code, found = probed(laboratory, "6.4.3", *few, SGLANG_USE_AITER_AR="0")
    assert (code, found["judgement"]["verdict"]) == (PASS, "mitigated")


@pytest.mark.parametrize(("gfx", "gpus"), [("gfx942", "8"), ("gfx950", "8"), ("gfx950", "3")])
def test_the_decode_is_right_on_any_number_of_emulated_gpus(
    laboratory: Laboratory, gfx: str, gpus: str
) -> None:
    machine = {"HSA_STANDIN_GFX": gfx, "HSA_STANDIN_GPUS": gpus}
    few = ("--steps", "8", "--batch", "2")
    code, found = probed(laboratory, "7.2.4", "decode", "--watchdog", *few, **machine)
    assert code == PASS, found["sentence"]
    assert [device["gfx"] for device in found["devices"]] == [gfx] * int(gpus)


@pytest.mark.parametrize(("gfx", "sabotage", "ended"), SABOTAGES)
def test_a_sabotage_on_eight_emulated_gpus_ends_with_its_own_code(
    laboratory: Laboratory, gfx: str, sabotage: str, ended: int
) -> None:
    machine = {"HSA_STANDIN_GFX": gfx, "HSA_STANDIN_GPUS": "8"}
    few = ("--only", "capture", "decode", "--steps", "8", "--batch", "2")
    code, found = probed(laboratory, "7.2.4", "run", *few, "--sabotage", sabotage, **machine)
    assert code == ended, found["sentence"]
    assert len(found["devices"]) == 8


@pytest.mark.parametrize(("sabotage", "ended"), [((), PASS), (("--sabotage", "wrong-fresh"), 19)])
def test_fresh_processes_are_compared_with_eager_one_by_one(
    laboratory: Laboratory, sabotage: tuple[str, ...], ended: int
) -> None:
    few = ("--fresh", "2", "--steps", "16", "--batch", "2")
    code, found = probed(laboratory, "7.2.4", "decode", *few, *sabotage)
    assert code == ended, found["sentence"]
    assert found["fresh"][0] == "as eager"
    assert (found["fresh"][1] == "as eager") is (ended == PASS)
    assert ("1 of 2, without an error (advisory replay-corrupted)" in found["sentence"]) is bool(
        sabotage
    )


def test_without_the_emulator_amds_own_hsa_runtime_finds_no_gpu(laboratory: Laboratory) -> None:
    runtime = laboratory.runtime("7.2.4")
    bare = {**runtime.environment, "LD_LIBRARY_PATH": runtime.folder}
    done = laboratory.run(PROBE, "capture", "--json", env=bare)
    assert done.returncode == 20
    assert "sees no GPU" in json.loads(done.stdout)["sentence"]


def test_preloaded_the_emulator_stands_before_amds_own_hsa_runtime(laboratory: Laboratory) -> None:
    runtime = laboratory.runtime("7.2.4")
    preloaded = {
        **runtime.environment,
        "LD_LIBRARY_PATH": runtime.folder,
        "LD_PRELOAD": "/opt/emulation/libhsa-runtime64.so.1",
    }
    done = laboratory.run(PROBE, "capture", "--json", env=preloaded)
    assert done.returncode == PASS, done.stdout
    assert len(json.loads(done.stdout)["devices"]) == 2
