"""What the system refuses cosign in a folder of ours is the system's refusal, not a registry's."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from made_up_programs import COSIGN_VERSION
from rocm_images.errors import ExitCode, RegistryError, WriteRefused
from rocm_images.files import refusal_in
from rocm_images.registry.cosign import Cosign

IMAGE = "r.example.org/it@sha256:" + "ab" * 32
REFUSED = pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("no space left on device", "make room there"),
        ("read-only file system", "name a place that can be written to"),
        ("permission denied", "name a place that you may use, or be somebody who may"),
        ("too many open files in system", "end other programs"),
    ],
)


def that_says(folder: Path, sentence: str) -> Cosign:
    (folder / "cosign").write_text(f"#!/bin/sh\n{COSIGN_VERSION}\necho '{sentence}' >&2; exit 1\n")
    (folder / "cosign").chmod(0o755)
    return Cosign(None, {"PATH": f"{folder}:{os.environ['PATH']}"})


@REFUSED
def test_a_folder_that_cosign_may_not_write_is_the_systems_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str, advice: str
) -> None:
    (tmp_path / "passing").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "passing"))
    place = tmp_path / "a layout"
    cosign = that_says(
        tmp_path, f"error during command execution: write {place}/oci-layout: {reason}"
    )
    for verb in (lambda: cosign.save(IMAGE, place), lambda: cosign.load(place, IMAGE)):
        with pytest.raises(WriteRefused) as raised:
            verb()
        assert raised.value.exit_code == ExitCode.SYSTEM_REFUSED
        assert f"{place}/oci-layout: the system refuses: {reason}: {advice}" in str(raised.value)


@REFUSED
def test_what_a_registrys_machine_is_refused_is_the_registrys_failure(
    tmp_path: Path, reason: str, advice: str
) -> None:
    said = f"PUT https://r.example.org/v2/: UNKNOWN: mkdir /var/lib/registry/blobs: {reason}"
    with pytest.raises(RegistryError, match=reason):
        that_says(tmp_path, said).save(IMAGE, tmp_path / "layout")
    assert advice not in said


def test_only_what_lies_in_the_folder_is_of_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/scratch")
    folder = Path("/srv/out")
    for path in ("/srv/out", "/srv/out/a b", "/scratch/x/y"):
        assert refusal_in(f"open {path}: permission denied", folder)
    for path in ("/srv/other", "/srv/output/a", "/registry/srv/out/a", "srv/out/a"):
        assert refusal_in(f"open {path}: permission denied", folder) is None
    assert refusal_in("open /srv/out/a: file exists", folder) is None
