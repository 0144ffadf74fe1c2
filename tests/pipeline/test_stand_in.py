"""The probe's alarms go off in an image, and its evidence says what it ran on."""

from __future__ import annotations

import json
from typing import Any

import docker
import pytest

from conftest import PROJECT, Answer, run_in, run_on_gpus
from rocm_images.recipe.labels import HIP_RUNTIME


def evidence_of(image_id: str) -> dict[str, Any]:
    path = PROJECT / "build" / "evidence" / f"{image_id.removeprefix('sha256:')}.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


@pytest.mark.parametrize(
    ("kind", "code", "sentence"),
    [
        ("global-watchdog", 15, "the watchdog (GLOBAL) queried an event"),
        ("same-thread-sync", 12, "the capturing thread called StreamSynchronize"),
        ("wrong-token", 11, "replay gave token"),
        ("missing-rank", 13, "rank 0 waits for rank 1"),
        ("hang", 30, "every process was killed"),
    ],
)
def test_each_sabotage_has_its_own_exit_code_and_sentence(
    image_apart: str, client: docker.DockerClient, kind: str, code: int, sentence: str
) -> None:
    status, out, err = run_on_gpus(
        client,
        image_apart,
        ["graph-probe", "decode", "--sabotage", kind, "--timeout", "12", "--json"],
        ROCM_IMAGES_SKIP_PREFLIGHT="1",
    )
    assert status == code, out + err
    assert sentence in json.loads(out)["sentence"]


def test_evidence_names_the_image_the_device_and_what_was_found(rehearsed: Answer) -> None:
    for cell, report in rehearsed.summary.items():
        image_id = report["image_id"]
        evidence = evidence_of(image_id)
        assert evidence["image_id"] == image_id
        assert evidence["cell"] == cell
        imitated = cell.endswith("7.2.0")
        level = "stand-in" if imitated else "emulated"
        assert evidence["level"] == level
        assert evidence["passed"] is True
        assert evidence["tests_failed"] == 0
        verdict = "unsafe" if imitated else "safe"
        assert evidence["probe"]["capture"]["verdict"] == verdict
        assert evidence["probe"]["runtime"]["path"].startswith("/opt/rocm/lib/")
        gfx = f"gfx{cell.split('-')[1]}"
        assert {d["gfx"] for d in evidence["probe"]["devices"]} == {gfx}
        assert f"{level}  2 x {gfx}" in rehearsed.stdout


def test_the_table_says_whose_runtime_was_measured_in_each_image(
    rehearsed: Answer, client: docker.DockerClient
) -> None:
    rows = {line.split()[0]: line for line in rehearsed.stdout.splitlines() if "2 x gfx" in line}
    for cell, report in rehearsed.summary.items():
        if cell.endswith("7.2.0"):
            assert "our imitation" in rows[cell]
            continue
        evidence = evidence_of(report["image_id"])
        runtime = evidence["probe"]["runtime"]
        whose = client.images.get(report["image_id"]).labels[HIP_RUNTIME]
        assert whose.startswith("libamdhip64-7 ")
        assert f"{whose}, sha256 {runtime['sha256'][:12]}" in rows[cell]
        # It is the package's library, by its content.
        words = ["sha256sum", runtime["path"]]
        _, out, _ = run_in(client, report["image_id"], words, entrypoint="")
        assert out.split()[0] == runtime["sha256"]


def test_nothing_of_the_emulator_is_in_an_image(
    rehearsed: Answer, client: docker.DockerClient
) -> None:
    for report in rehearsed.summary.values():
        words = ["sh", "-c", "ls /opt; grep -rl hsa_standin_version /opt/rocm/lib || true"]
        status, out, _ = run_in(client, report["image_id"], words, entrypoint="")
        assert status == 0
        assert "emulation" not in out
        assert "libhsa" not in out
