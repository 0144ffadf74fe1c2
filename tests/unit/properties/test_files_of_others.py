"""Whatever a file holds, what reads it ends in a documented way.

| format | read by |
|---|---|
| catalogue.json, schema 1 and 2 | pick, run-args, deploy, catalogue: catalogue/file.py |
| evidence of a smoke test | evidence verify, build, publish: smoke/evidence.py |
| what graph-probe and its serve tier print | smoke, build: smoke/evidence.py |
| a self-test's file | evidence verify: smoke/verification.py |
| inventory.json | release-notes: comparing/facts.py |
| what an image lists of its packages; its labels | diff, inventory: comparing/inside.py |
| a bundle | publish --from: distributing/bundle.py |
| summary.json, ci-matrix.json | summary: ci/summary_page.py |
| matrix.yaml | nearly every verb: matrix/reader.py |
| matrix.lock | plan, build, lock: lock/file.py |
| a CA bundle, pip's configuration | --ca-bundle, --pip-config: engine/network.py |
| Docker's config.json and contexts | build, push: engine/connect.py, registry/credentials.py |
| plain progress of BuildKit | build: engine/buildx.py |
| image.json | every program in an image: image_facts/description.py, as sh: image_facts/shell.py |
| files below /sys, /dev and /proc | rocm-preflight, pick --auto: deploying/gpus.py |
| shared objects (ELF) with offload bundles | image-doctor: image_doctor/offload_bundle.py |
| a source tree or wheel of the server | image-doctor variable: image_doctor/source_tree.py |
| torch/version.py | image-doctor: image_doctor/packages.py |
| the log of a server | graph-probe serve: serve_probe/server_log.py |
| an answer of a server | graph-probe serve: serve_probe/client.py |
| what a child of the probe or a tier prints | graph_probe/channel.py, image_selftest/tiers.py |

test_claims_of_size.py has those that are large, or say so.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tarfile
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

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
from odd_documents import contents, damaged, odd, written
from rocm_images.build.summary import CellReport, Result, evidence_table, failures, summary_table
from rocm_images.comparing.facts import ImageFacts
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load
from rocm_images.smoke.evidence import Evidence, Level
from verbs import ACTS, ends

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


def an_inventory() -> Any:
    facts = ImageFacts.of_published(entry(CELL))
    named = asdict(facts) | {"labels": {"a": "b"}, "packages": {"dpkg": {"curl": "1"}}}
    return {"inventory": 1, "images": [json.loads(json.dumps(named))]}


@given(contents(an_inventory()))
def test_an_inventory(folder: Path, content: bytes) -> None:
    old, new = folder / "old.json", folder / "inventory.json"
    old.write_bytes(written(an_inventory()))
    new.write_bytes(content)
    ends("release-notes", str(old), str(new), codes=(0, 2))
    ends("release-notes", str(new), str(old), codes=(0, 2))


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


class Loader(yaml.SafeLoader):
    """All scalars as they are written."""


Loader.yaml_implicit_resolvers = {}
A_MATRIX = yaml.load((PROJECT / "matrix.yaml").read_text(), Loader)


def as_yaml(document: Any) -> bytes:
    try:
        text: str = yaml.safe_dump(document, allow_unicode=True)
        return text.encode()
    except (UnicodeEncodeError, yaml.YAMLError):
        return written(document)


@given(contents(A_MATRIX, as_yaml))
def test_a_matrix(folder: Path, content: bytes) -> None:
    path = folder / "matrix.yaml"
    path.write_bytes(content)
    ends("explain", CELL.name, "--matrix", str(path), codes=(0, 2))


A_LOCK = {
    "schema": "1",
    "bases": {"rocm/pytorch:rocm7.2": "sha256:" + "ab" * 32},
    "sources": {"https://example.org/a.git#v1": "ab" * 20},
}


@given(contents(A_LOCK, as_yaml))
def test_a_lock(folder: Path, content: bytes) -> None:
    from rocm_images.errors import InputError
    from rocm_images.lock import file

    path = folder / "matrix.lock"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        assert file.text_of(file.read(path), "matrix.yaml")


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


DOCKERS = {
    "cliPluginsExtraDirs": ["/nowhere", "/nowhere/else"],
    "auths": {"r.example.org": {"auth": "YTpi"}},
    "currentContext": "remote",
    "credHelpers": {"x.example.org": "none"},
}
CONTEXT = {"Name": "remote", "Metadata": {}, "Endpoints": {"docker": {"Host": "tcp://127.0.0.1:1"}}}


@given(contents(DOCKERS), contents(CONTEXT))
def test_dockers_configuration(folder: Path, configuration: bytes, context: bytes) -> None:
    from rocm_images.engine.buildx_program import _plugin_folders
    from rocm_images.engine.connect import _context_address
    from rocm_images.errors import RegistryError
    from rocm_images.registry.credentials import credentials_of

    name = hashlib.sha256(b"remote").hexdigest()
    meta = folder / "contexts" / "meta" / name / "meta.json"
    meta.parent.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_bytes(configuration)
    with mock.patch.dict(os.environ, {"DOCKER_CONFIG": str(folder), "HOME": str(folder)}):
        for content in (written(CONTEXT), context):
            meta.write_bytes(content)
            assert isinstance(_context_address(), str)
        with contextlib.suppress(RegistryError):
            credentials_of("r.example.org")
    for place in _plugin_folders({"DOCKER_CONFIG": str(folder)}):
        assert isinstance(place, Path)


PROGRESS = (
    "#1 [internal] load build definition\n#2 [deps 1/3] RUN --mount=type=cache pip install x\n"
    "#2 0.512 Collecting x\n#2 ERROR: process did not complete\nERROR: failed to solve: exit 1\n"
)


@given(damaged(PROGRESS.encode()), damaged(PROGRESS.encode()))
def test_the_progress_of_a_build(one: bytes, other: bytes) -> None:
    from rocm_images.engine.buildx import PlainProgress

    progress = PlainProgress()
    for line in (one + other).decode(errors="replace").splitlines():
        progress.feed(line)
    assert len(progress.step) <= 100
    report = CellReport.of(CELL, Result.DONE).failed(
        Result.BUILD_FAILED, detail=progress.error, tail=progress.tail(), log=Path("log")
    )
    assert failures([report])


PACKAGES = "dpkg\tcurl\t7.88.1\npip\ttorch\t2.9.1\n"


@given(
    damaged(PACKAGES.encode()),
    odd({"rocm-serving-images.inputs": "{}", "a": "b"}),
    odd({"base": "1", "dockerfile": "2"}),
)
def test_what_an_image_says_of_itself_is_compared(output: bytes, labels: Any, inputs: Any) -> None:
    from rocm_images.comparing.difference import difference
    from rocm_images.comparing.inside import _packages
    from rocm_images.comparing.text import as_text
    from rocm_images.comparing.text import release_notes as notes
    from rocm_images.engine.images import INPUTS

    # An engine has texts alone for labels; what a text says is anybody's.
    said = labels if isinstance(labels, dict) else {}
    texts = {str(name): value for name, value in said.items() if isinstance(value, str)}
    old = ImageFacts.of_published(entry(CELL))
    packages = _packages(output.decode(errors="replace"))
    new = replace(
        old,
        packages=packages,
        labels={**texts, INPUTS: written(inputs).decode()},
        env={"A": "\x1b[2J"},
    )
    before = replace(old, labels={INPUTS: "{}"}, packages={"dpkg": {}, "pip": {}})
    assert as_text(difference(before, new))
    assert not ACTS.search(notes("t", {"c": before}, {"c": new}))
