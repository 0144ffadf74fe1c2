"""The adapter of docs/scan.md, with a made-up program that says what debsecan may say.

tests/pipeline/test_debsecan.py has debsecan itself.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import debsecan_as_cyclonedx
import pytest
from made_up_sbom import bill_of
from test_findings import TODAY

from rocm_images.errors import PublishRefused
from rocm_images.matrix.schema import Scan
from rocm_images.publishing.findings import Finding
from rocm_images.publishing.scanning import Scanned, Scanning

DIGEST = f"sha256:{'d' * 64}"


def scanned(folder: Path, script: str) -> Scanned:
    program = folder / "debsecan"
    keep = f'case $word in --status=*) cp "${{word#*=}}" "{folder}/status"; esac'
    program.write_text(f"#!/bin/sh\nfor word; do {keep}; done\n{script}\n")
    program.chmod(0o755)
    adapter = str(debsecan_as_cyclonedx.__file__)
    command = [sys.executable, adapter, "{sbom}", str(program), "--suite", "bookworm"]
    scan = Scan.model_validate({"command": command, "at_most": "medium"})
    return Scanning("stable", scan, folder, TODAY).scanned("a-cell", DIGEST, bill_of(DIGEST))


def test_what_debsecan_says_is_held_to_the_channels_bound(tmp_path: Path) -> None:
    lines = "CVE-2099-0001 apt (remotely exploitable, high urgency)\nCVE-2099-0002 apt\n"
    found = scanned(tmp_path, f"printf '{lines}CVE-2099-0003 apt (low urgency)\n'").judged
    assert found.refused == (
        Finding("CVE-2099-0002", "unknown", ("apt 3.0.4",)),
        Finding("CVE-2099-0001", "high", ("apt 3.0.4",)),
    )
    assert [one.id for one in found.below] == ["CVE-2099-0003"]
    status = (tmp_path / "status").read_text()
    assert status.count("Package: ") == 1
    assert "Package: apt\n" in status
    assert "Version: 3.0.4\n" in status


def test_nothing_said_is_nothing_found(tmp_path: Path) -> None:
    assert scanned(tmp_path, "").judged.worst == "none"


@pytest.mark.parametrize("script", ["echo no such suite >&2; exit 1", "echo 'an odd line here'"])
def test_what_debsecan_does_not_say_refuses(tmp_path: Path, script: str) -> None:
    with pytest.raises(PublishRefused, match="gave no answer"):
        scanned(tmp_path, script)


def test_an_sbom_without_packages_of_debian_is_not_scanned_as_one_without_findings() -> None:
    with pytest.raises(SystemExit, match="no package of Debian"):
        debsecan_as_cyclonedx.status_of(json.loads('{"components": [{"name": "torch"}]}'))
