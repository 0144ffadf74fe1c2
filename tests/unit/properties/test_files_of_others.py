"""Whatever a result or a bundle that somebody hands over holds, its reader ends as documented.

The table has all formats that are read, whichever module tests them.

| format | read by |
|---|---|
| catalogue.json, schema 1 and 2 | pick, run-args, deploy, catalogue: catalogue/file.py |
| evidence of a smoke test | evidence verify, build, publish: smoke/evidence.py |
| what graph-probe and its serve tier print | smoke, build: smoke/evidence.py |
| a self-test's file | evidence verify: smoke/verification.py |
| a bill of materials, as syft says it or kept | release-notes, diff, publish: sbom/document.py |
| the labels of an image | diff: comparing/difference.py |
| a bundle | publish --from: distributing/bundle.py |
| what a scanner answers | publish: publishing/findings.py (test_answers_of_scanners.py) |
| summary.json, ci-matrix.json | summary: ci/summary_page.py |
| matrix.yaml | nearly every verb: matrix/reader.py |
| matrix.lock | plan, build, lock: lock/file.py |
| a registry's list of tags; git's tags | lock: registry/tags.py, lock/forms.py |
| the text of a matrix that is given a base | lock --take: lock/take.py |
| a CA bundle, pip's configuration | --ca-bundle, --pip-config: engine/network.py |
| Docker's config.json and contexts | build, push: engine/connect.py, engine/logins.py |
| plain progress of BuildKit | build: engine/buildx.py |
| image.json | every program in an image: image_facts/description.py, as sh: image_facts/shell.py |
| files below /sys, /dev and /proc | rocm-preflight, pick --auto: engine/machine.py |
| shared objects (ELF) with offload bundles | image-doctor: image_doctor/offload_bundle.py |
| a source tree or wheel of the server | image-doctor variable: image_doctor/source_tree.py |
| torch/version.py | image-doctor: image_doctor/packages.py |
| the log of a server | graph-probe serve: serve_probe/server_log.py |
| an answer of a server | graph-probe serve: serve_probe/client.py |
| what a child of the probe or a tier prints | graph_probe/channel.py, image_selftest/tiers.py |

test_files_of_builds.py has what sets up a build, test_files_in_images.py what lies in an image, and
test_claims_of_size.py those that are large, or say so.
"""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_sbom import LABELS, SAID, bill_of

from image_selftest.document import document_of, sealed
from made_up_catalogue import catalogue, entry, evidence
from made_up_tiers import (
    DATE,
    IMAGE_ID,
    description,
    probe_found,
    serve_found,
    tiers_at,
)
from odd_documents import contents, damaged, written
from rocm_images.build.summary import CellReport, Result, evidence_table, summary_table
from rocm_images.foreign import parsed
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load
from rocm_images.sbom.document import Bill, normalised
from rocm_images.smoke.evidence import Evidence, Level
from verbs import ends

PROJECT = Path(__file__).parents[3]
MATRIX = load(PROJECT / "matrix.yaml")
CELL = cells_of(MATRIX)[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@cache
def a_catalogue() -> Any:
    whole = json.loads(catalogue(MATRIX).model_dump_json(by_alias=True))
    # Two are enough: of the same kind, and one of them with everything that an entry can have.
    return {**whole, "images": whole["images"][:1], "history": whole["history"][:1]}


def of_schema_1(document: Any) -> Any:
    def entry_of_schema_1(one: Any) -> Any:
        kept = {k: v for k, v in one.items() if k not in ("server", "version", "components")}
        return {
            **kept,
            "cell": one["cell"].removeprefix("sglang-"),
            "sglang": one["version"],
            "aiter": "0.1.19",
        }

    return {
        "schema": 1,
        "updated": document["updated"],
        "images": [entry_of_schema_1(one) for one in document["images"]],
        "history": [],
    }


@given(st.data())
@pytest.mark.parametrize("schema", [1, 2])
def test_a_catalogue(folder: Path, schema: int, data: st.DataObject) -> None:
    whole = a_catalogue() if schema == 2 else of_schema_1(a_catalogue())
    path = folder / "catalogue.json"
    path.write_bytes(data.draw(contents(whole)))
    tag = whole["images"][0]["immutable_tag"]
    named = ["--catalogue", str(path), "--unverified"]
    for words in (
        ["pick", "--arch", CELL.arch, *named],
        ["run-args", tag, *named],
        ["deploy", tag, "--as", "kubernetes", "--model", "m", *named],
        ["release-notes", str(path), str(path)],
        ["catalogue", "--from", str(path), "--output", str(folder), "--unverified"],
    ):
        ends(*words, codes=(0, 2))


def probe() -> dict[str, Any]:
    return {
        **probe_found(stand_in=False),
        "runtime": {"is_stand_in": False, "version_text": "HIP 7.2", "sha256": "ab", "path": "/l"},
        "capture": {"verdict": "unsafe", "bugs": ["A", "B"]},
        "replay": {"verdict": "right"},
        "judgement": {"all_reduce": "aiter", "verdict": "fits"},
        "decode": {"batches": [{"tokens_per_second": {"eager": 1.5, "replay": 2.5}}]},
    }


def smoke_evidence() -> Any:
    whole = evidence(CELL, Level.GPU)
    found = Evidence(**{**asdict(whole), "probe": probe(), "serve": serve_found()})
    return {**found.document, "level": "serve"}


def as_sealed(document: Any) -> bytes:
    return written(sealed(document) if isinstance(document, dict) else document)


@given(st.data())
def test_evidence_of_a_smoke_test(folder: Path, data: st.DataObject) -> None:
    whole = smoke_evidence()
    path = folder / f"{whole['image_id'].removeprefix('sha256:')}.json"
    content = data.draw(contents(whole, as_sealed))
    path.write_bytes(content)
    ends("evidence", "verify", str(path), codes=(0, 2, 11))
    found = Evidence.read(folder, whole["image_id"])
    if found is not None:
        everything_of(found)


def everything_of(found: Evidence) -> None:
    """All that a run, a catalogue and a publication make of evidence."""
    report = CellReport.of(CELL, Result.DONE).tested(found)
    assert summary_table([report])
    assert evidence_table([report])
    entry(CELL, evidence=found)
    assert Evidence.of_document(found.document) == found


@given(contents(probe()), contents(serve_found()), st.sampled_from(list(Level)))
def test_what_the_probe_of_an_image_prints(
    folder: Path, printed: bytes, served: bytes, device: Level
) -> None:
    from rocm_images.smoke.outcome import read_findings, read_serve

    for name, content in (("probe", printed), ("serve", served)):
        whole = b'{"image_id": "%s", "found": %s}' % (IMAGE_ID.encode(), content)
        (folder / name).write_bytes(whole)
    found = Evidence.of(
        CELL,
        IMAGE_ID,
        device=device,
        passed=1,
        failures=(),
        seconds=1.0,
        tests="t",
        probe=read_findings(folder / "probe", IMAGE_ID),
        serve=read_serve(folder / "serve", IMAGE_ID, Level.GPU),
    )
    found.write(folder)
    assert Evidence.read(folder, IMAGE_ID) == found
    everything_of(found)


@given(st.data())
@pytest.mark.parametrize("level", ["static", "serve"])
def test_a_file_of_a_self_test(folder: Path, level: str, data: st.DataObject) -> None:
    image = {"id": IMAGE_ID, "contents": IMAGE_ID, "description": description(CELL)}
    whole = json.loads(json.dumps(document_of(image, tiers_at(level), DATE, 10.0)))
    path = folder / "selftest.json"
    path.write_bytes(data.draw(contents(whole, as_sealed)))
    ends("evidence", "verify", str(path), codes=(0, 2, 11))


@given(contents(bill_of(IMAGE_ID)))
def test_a_bill_of_materials(folder: Path, content: bytes) -> None:
    old, new = folder / "old.json", folder / "sbom.cdx.json"
    old.write_bytes(written(bill_of(IMAGE_ID)))
    new.write_bytes(content)
    ends("release-notes", str(old), str(new), codes=(0, 2))
    ends("release-notes", str(new), str(old), codes=(0, 2))


@given(contents(SAID))
def test_what_syft_says_is_a_bill_that_is_the_same_again_or_none(content: bytes) -> None:
    try:
        found = normalised(parsed(content), IMAGE_ID, LABELS)
    except ValueError:
        return
    assert Bill.of_document(parsed(written(found))).image_id == IMAGE_ID
    assert normalised(found, IMAGE_ID, LABELS) == found


def a_summary() -> Any:
    bad = CellReport("a", Result.BUILD_FAILED, detail="step", tail=("one", "two"))
    good = CellReport("b", Result.DONE, "r:t", "sha256:00", 45_300_000_000, 2760.4)
    cells = [{**asdict(one), "result": str(one.result), "smoke": one.smoke} for one in (bad, good)]
    return {"schema": 1, "exit_code": 0, "cells": json.loads(json.dumps(cells))}


@given(contents(a_summary()), contents({"schema": 1, "skipped": [{"cell": "c", "why": "w"}]}))
def test_what_the_jobs_of_a_run_left(folder: Path, one: bytes, other: bytes) -> None:
    for name, content in (("summary.json", one), ("ci-matrix.json", other)):
        (folder / name).write_bytes(content)
        ends("summary", str(folder / name), codes=(0, 2))
    ends("summary", str(folder / "summary.json"), str(folder / "ci-matrix.json"), codes=(0, 2))


A_BUNDLE = {
    "schema": 2,
    "channel": "stable",
    "images": [
        {
            "digest": "sha256:" + "ab" * 32,
            "entries": [{"digest": "sha256:" + "ab" * 32, "annotations": {"a": "b"}}],
        }
    ],
}


def as_bundle(files: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return whole.getvalue()


GOOD_BUNDLE = as_bundle({"bundle.json": written(A_BUNDLE), "catalogue.json": b"{}"})


@given(
    contents(A_BUNDLE).map(lambda content: as_bundle({"bundle.json": content}))
    | damaged(GOOD_BUNDLE)
)
def test_a_bundle(folder: Path, content: bytes) -> None:
    from rocm_images.distributing.bundle import opened
    from rocm_images.errors import InputError, VerificationFailed

    path = folder / "bundle.tar"
    path.write_bytes(content)
    with contextlib.suppress(InputError, VerificationFailed), opened(path) as found:
        for one in found.images:
            assert found.manifest(one.digest) is None
            assert found.layout_of(one).is_relative_to(found.folder)
        found.catalogue()
    assert not [*folder.glob(".bundle-*")]
