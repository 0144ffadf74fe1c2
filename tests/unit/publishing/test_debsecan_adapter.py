"""The adapter of docs/scan.md, with a made-up program that says what debsecan may say.

tests/pipeline/test_debsecan.py has debsecan itself.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import debsecan_as_cyclonedx
import pytest
from made_up_sbom import bill_of
from made_up_scanner import TODAY

from rocm_images.errors import PublishRefused
from rocm_images.matrix.schema import Scan
from rocm_images.publishing.findings import Finding
from rocm_images.publishing.scanning import Scanned, Scanning

DIGEST = f"sha256:{'d' * 64}"


def scanned(folder: Path, script: str, sbom: Any = None) -> Scanned:
    program = folder / "debsecan"
    keep = f'case $word in --status=*) cp "${{word#*=}}" "{folder}/status"; esac'
    program.write_text(f"#!/bin/sh\nfor word; do {keep}; done\n{script}\n")
    program.chmod(0o755)
    adapter = str(debsecan_as_cyclonedx.__file__)
    command = [sys.executable, adapter, "{sbom}", str(program), "--suite", "bookworm"]
    scan = Scan.model_validate({"command": command, "at_most": "medium"})
    return Scanning("stable", scan, folder, TODAY).scanned(
        "a-cell", DIGEST, sbom or bill_of(DIGEST)
    )


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


APT = {"name": "apt", "version": "3.0.4", "purl": "pkg:deb/debian/apt@3.0.4", "bom-ref": "deb"}
PYTHONS = {"name": "apt", "version": "1", "purl": "pkg:pypi/apt@1", "bom-ref": "pypi"}


def bill(*components: dict[str, str]) -> Any:
    return {"components": list(components)}


@pytest.mark.parametrize(
    ("components", "said"),
    [
        ([{"name": "torch"}], "no package of Debian"),
        ([PYTHONS], "no package of Debian"),
        ([APT, APT | {"purl": "pkg:deb/ubuntu/apt@3.0.4"}], "Debian's packages alone, not 'pkg:de"),
        ([APT | {"purl": "pkg:deb/debian-of-mine/apt@3.0.4"}], "Debian's packages alone"),
        ([APT | {"purl": "pkg:DEB/apt@3.0.4"}], "Debian's packages alone"),
        ([APT | {"purl": "pkg://deb/ubuntu/apt@3.0.4"}], "Debian's packages alone"),
        ([APT, {"purl": "pkg:deb/debian/b@1"}], "no name and version"),
        ([APT | {"version": ""}], "no name and version"),
        ([{"name": "apt", "purl": "pkg:deb/debian/apt"}], "no name and version"),
        ([APT | {"version": "1\n\nPackage: b"}], "that dpkg would take"),
        ([APT | {"name": "apt\nStatus: none"}], "that dpkg would take"),
        ([APT | {"name": "apt\x85"}], "that dpkg would take"),
        ([APT | {"purl": "pkg:deb/debian/apt?upstream=a%0AVersion:%209"}], "that dpkg would take"),
    ],
)
def test_an_sbom_that_debsecan_cannot_judge_is_not_one_without_findings(
    components: list[dict[str, str]], said: str
) -> None:
    with pytest.raises(SystemExit, match=said):
        debsecan_as_cyclonedx.status_of(bill(*components))


def test_the_source_of_a_package_and_its_version_are_said() -> None:
    purl = "pkg:deb/debian/apt@3.0.4?arch=amd64&upstream=apt%2Bx%401%3A2.0~rc1"
    status = debsecan_as_cyclonedx.status_of(bill(APT | {"purl": purl}, PYTHONS))
    assert "Source: apt+x (1:2.0~rc1)\n" in status
    assert status.count("Package: ") == 1


@pytest.mark.parametrize("components", [(APT, PYTHONS), (PYTHONS, APT)])
def test_a_finding_is_of_debians_package_not_of_another_of_its_name(
    components: tuple[dict[str, str], ...],
) -> None:
    answer = debsecan_as_cyclonedx.answer_of(["CVE-2099-0001 apt"], bill(*components))
    assert [one["affects"] for one in answer["vulnerabilities"]] == [[{"ref": "deb"}]]


def test_a_finding_is_of_the_package_of_each_architecture() -> None:
    answer = debsecan_as_cyclonedx.answer_of(
        ["CVE-2099-0001 apt"], bill(APT, APT | {"bom-ref": "i386"})
    )
    assert answer["vulnerabilities"][0]["affects"] == [{"ref": "deb"}, {"ref": "i386"}]


def test_a_package_of_another_distribution_gives_no_answer(tmp_path: Path) -> None:
    sbom = bill_of(DIGEST)
    ubuntu = json.loads(json.dumps(sbom).replace("pkg:deb/debian/", "pkg:deb/ubuntu/"))
    with pytest.raises(PublishRefused, match=r"gave no answer.*Debian's packages alone"):
        scanned(tmp_path, "", ubuntu)
