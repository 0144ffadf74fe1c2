"""The HIP stand-in is what it claims to be, and the probe's alarms go off in a real image."""

from __future__ import annotations

import json
import site
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import docker
import pytest

from conftest import PROJECT, Answer, run_in
from rocm_images.labels import STAND_IN

TESTS_IN_BASE = 76


def test_the_stand_in_agrees_with_the_measured_matrix_and_with_the_sanitizers(
    rehearsed: Answer, client: docker.DockerClient, tmp_path: Path
) -> None:
    base = next(
        tag
        for image in client.images.list(filters={"label": f"{STAND_IN}=base"})
        for tag in image.tags
        if "/base:" in tag
    )
    # pytest is pure Python, so the base's interpreter can use this environment's copy.
    packages = site.getsitepackages()[0]
    results = tmp_path / "results"
    results.mkdir()
    words = ["python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=/project"]
    words += ["--junit-xml=/results/results.xml", "/project/tests/stand_in"]
    status, out, err = run_in(
        client,
        base,
        words,
        entrypoint="",
        working_dir="/project",
        environment={"PYTHONPATH": "/packages", "PYTHONDONTWRITEBYTECODE": "1"},
        volumes={
            str(PROJECT): {"bind": "/project", "mode": "ro"},
            packages: {"bind": "/packages", "mode": "ro"},
            str(results): {"bind": "/results", "mode": "rw"},
        },
        # ThreadSanitizer chooses its own addresses, which the default profile forbids.
        security_opt=["seccomp=unconfined"],
    )
    assert status == 0, out + err
    cases = list(ElementTree.parse(results / "results.xml").iter("testcase"))
    assert len(cases) == TESTS_IN_BASE
    assert not [case for case in cases if len(case)]


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
    rehearsed: Answer, client: docker.DockerClient, kind: str, code: int, sentence: str
) -> None:
    status, out, err = run_in(
        client,
        rehearsed.summary["942-rocm7.2.2"]["image_id"],
        ["graph-probe", "decode", "--sabotage", kind, "--timeout", "12", "--json"],
        entrypoint="",
        environment={"HIP_STANDIN_DEVICES": "2"},
    )
    assert status == code, out + err
    assert sentence in json.loads(out)["sentence"]


def test_evidence_names_the_image_the_device_and_what_was_found(rehearsed: Answer) -> None:
    for cell, report in rehearsed.summary.items():
        image_id = report["image_id"]
        path = PROJECT / "build" / "evidence" / f"{image_id.removeprefix('sha256:')}.json"
        evidence = json.loads(path.read_text())
        assert evidence["image_id"] == image_id
        assert evidence["cell"] == cell
        assert evidence["level"] == "stand-in"
        assert evidence["passed"] is True
        assert evidence["tests_failed"] == 0
        verdict = "unsafe" if cell.endswith("7.2.0") else "safe"
        assert evidence["probe"]["capture"]["verdict"] == verdict
        assert evidence["probe"]["runtime"]["path"].startswith("/opt/rocm/lib/")
        assert {d["gfx"] for d in evidence["probe"]["devices"]} == {f"gfx{cell[:3]}"}
        assert f"stand-in  2 x gfx{cell[:3]}" in rehearsed.stdout
