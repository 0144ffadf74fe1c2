"""A graph-captured decode runs in the image, and its all-reduce default is the right one."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from conftest import FEW_STEPS, ImageUnderTest, Probe, ProbeRun
from machines import DEVICES
from rocm_images.plan.cells import Cell
from rocm_images.smoke import emulator
from rocm_images.smoke.evidence import Level

pytestmark = pytest.mark.device

# Exit codes of graph-probe (docs/probe.md).
PASS, UNSAFE_NOT_MITIGATED, UNSAFE, NO_DEVICE, WRONG_GFX = 0, 10, 15, 20, 21


def test_the_probe_passes_in_the_image_as_it_is(image: ImageUnderTest, run: ProbeRun) -> None:
    assert run.code == PASS, run.found["sentence"]
    assert run.found["judgement"]["all_reduce"] == image.cell.all_reduce


def test_the_measured_verdict_is_the_one_the_advisories_predict(
    image: ImageUnderTest, run: ProbeRun
) -> None:
    expected = ("unsafe", "mitigated") if image.cell.captures_are_unsafe else ("safe", "pass")
    assert (run.found["capture"]["verdict"], run.found["judgement"]["verdict"]) == expected


def test_the_controls_that_must_die_do(image: ImageUnderTest, run: ProbeRun) -> None:
    # A runtime that lets them live makes every survival worth less.
    assert [c for c in run.found["capture"]["controls"] if not c["enforced"]] == []


def test_replay_gives_the_tokens_of_eager_at_every_batch_size(
    image: ImageUnderTest, run: ProbeRun
) -> None:
    decode = run.found["decode"]
    assert [batch["batch"] for batch in decode["batches"]] == [1, 2, 4, 8]
    for batch in decode["batches"]:
        assert batch["problem"] is None
        assert batch["tokens_checked"] >= decode["steps"] * batch["batch"]
        assert batch["reference_checked"] >= decode["steps"] * batch["batch"]


def test_on_a_safe_runtime_the_decode_ran_beside_a_watchdog(
    image: ImageUnderTest, run: ProbeRun
) -> None:
    decode = run.found["decode"]
    assert decode["watchdog"] is not image.cell.captures_are_unsafe
    assert bool(decode["watchdog_queries"]) is decode["watchdog"]


def test_the_devices_are_of_the_images_gfx(image: ImageUnderTest, run: ProbeRun) -> None:
    assert {device["gfx"] for device in run.found["devices"]} == {image.cell.gfx}
    if image.machine.can_change:
        assert len(run.found["devices"]) == DEVICES


def test_stand_in_and_emulator_are_called_what_they_are(
    image: ImageUnderTest, run: ProbeRun
) -> None:
    runtime = run.found["runtime"]
    assert runtime["is_stand_in"] is (image.machine.level is Level.STAND_IN)
    # Whether the probe knows another emulator for one is that emulator's doing.
    if not image.machine.program:
        assert bool(runtime["emulator"]) is (image.machine.level is Level.EMULATED)


def test_the_runtime_that_was_measured_is_named_by_its_content(
    image: ImageUnderTest, run: ProbeRun, host: Host
) -> None:
    runtime = run.found["runtime"]
    assert runtime["sha256"] == host.file(runtime["path"]).sha256sum


@pytest.mark.emulated
def test_the_emulator_that_is_mapped_is_the_mounted_one(
    image: ImageUnderTest, run: ProbeRun, host: Host
) -> None:
    found = run.found["runtime"]["emulator"]
    assert found["path"] == emulator.LIBRARY
    assert found["sha256"] == host.file(emulator.LIBRARY).sha256sum


def test_replayed_graphs_give_what_eager_gives(image: ImageUnderTest, run: ProbeRun) -> None:
    assert run.found["replay"]["verdict"] == "replays-right", run.found["replay"]


def asked_for(cell: Cell, value: str) -> dict[str, str]:
    """A value of the variable that chooses the all-reduce, where nothing else keeps it off."""
    variable = cell.server.all_reduce
    return {**{one.name: "1" for one in variable.requires}, variable.name: value}


def can_choose(cell: Cell) -> bool:
    """Whether this release of the server has an all-reduce to choose."""
    return cell.server.all_reduce.is_read_by(cell.version)


def test_the_all_reduce_of_the_bug_by_hand_is_refused_where_the_runtime_is_unsafe(
    image: ImageUnderTest, probe: Probe
) -> None:
    done = probe("run", "--only", "capture", **asked_for(image.cell, "1"))
    unsafe = image.cell.captures_are_unsafe and can_choose(image.cell)
    assert done.code == (UNSAFE_NOT_MITIGATED if unsafe else PASS)


def test_a_watchdog_kills_the_decode_exactly_where_the_runtime_is_unsafe(
    image: ImageUnderTest, probe: Probe
) -> None:
    done = probe("decode", "--watchdog", *FEW_STEPS)
    assert done.code == (UNSAFE if image.cell.captures_are_unsafe else PASS)


def test_all_reduce_off_on_a_safe_runtime_is_a_warning(image: ImageUnderTest, probe: Probe) -> None:
    done = probe("run", "--only", "capture", **asked_for(image.cell, "0"))
    assert done.code == PASS
    needless = can_choose(image.cell) and not image.cell.captures_are_unsafe
    assert bool(done.found["judgement"]["warning"]) is needless


def test_a_gpu_that_the_image_was_not_built_for_is_refused(
    image: ImageUnderTest, probe: Probe
) -> None:
    other = "gfx950" if image.cell.gfx == "gfx942" else "gfx942"
    can_change = image.machine.can_change
    done = probe("run", gfx=other) if can_change else probe("run", "--gfx", other)
    assert done.code == WRONG_GFX
    assert image.cell.gfx in done.found["sentence"]
    assert other in done.found["sentence"]


@pytest.mark.no_gpu
def test_a_host_without_a_gpu_is_told_so(image: ImageUnderTest, probe: Probe) -> None:
    done = probe("run", devices=0)
    assert done.code == NO_DEVICE


@pytest.mark.no_gpu
@pytest.mark.parametrize("devices", [1, 4])
def test_the_decode_is_right_on_any_number_of_devices(
    image: ImageUnderTest, probe: Probe, devices: int
) -> None:
    done = probe("decode", *FEW_STEPS, devices=devices)
    assert done.code == PASS, done.found["sentence"]
    assert done.found["decode"]["devices"] == devices
