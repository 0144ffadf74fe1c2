"""Debian's own debsecan is a channel's scanner, by the adapter of docs/scan.md.

It scans what syft lists of three packages of Debian 12, with a database of made-up vulnerabilities.
"""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import debsecan_as_cyclonedx
import pytest

from rehearsal.unpacked_programs import debsecan
from rocm_images.errors import PublishRefused
from rocm_images.matrix.schema import Scan
from rocm_images.publishing.findings import Finding
from rocm_images.publishing.scanning import Scanned, Scanning, check
from rocm_images.sbom.document import normalised
from rocm_images.sbom.syft import syft_program

DIGEST = f"sha256:{'d' * 64}"
TODAY = datetime.date(2026, 11, 26)
# The second's source has a version of its own, and the third's a name that an address escapes.
PACKAGES = (
    ("apt", "2.6.1", ""),
    ("gcc", "4:12.2.0-3", "gcc-defaults (1.203)"),
    ("libsigc++-2.0-0v5", "2.12.0-1", "libsigc++-2.0"),
)
ALLOWED = {"id": "CVE-2099-0001", "why": "not reachable", "until": "2026-12-31"}


@pytest.fixture(scope="module")
def program() -> tuple[str, ...]:
    return debsecan()


@pytest.fixture(scope="module")
def sbom(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("debian")
    status = root / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "etc/os-release").write_text('ID=debian\nVERSION_ID="12"\n')
    status.write_text(
        "\n".join(
            f"Package: {name}\nStatus: install ok installed\nArchitecture: amd64\n"
            f"Version: {version}\n" + (f"Source: {source}\n" if source else "")
            for name, version, source in PACKAGES
        )
    )
    settings = root / "syft.yaml"
    settings.write_text("check-for-app-update: false\n")
    words = ["scan", f"dir:{root}", "--quiet", f"--config={settings}", "--output=cyclonedx-json"]
    words.append("--override-default-catalogers=image")
    listed = subprocess.run(
        [syft_program(), *words],
        env={"HOME": str(root)},
        capture_output=True,
        check=True,
        timeout=120,
    )
    return normalised(json.loads(listed.stdout), DIGEST, {})


def database(*lines: str) -> bytes:
    """As debsecan fetches it: a line is `SOURCE,NUMBER,FLAGS,FIXED IN,ALSO FIXED IN`."""
    names = "".join(f"CVE-2099-000{number},,made up\n" for number in range(1, 4))
    return zlib.compress("\n".join([f"VERSION 1\n{names}", *lines, "", ""]).encode())


def scanned(
    program: tuple[str, ...], sbom: dict[str, Any], folder: Path, content: bytes, **more: Any
) -> tuple[Scan, Scanned]:
    """What a channel makes of the image by a database of this content, if it has any."""
    if content:
        (folder / "bookworm").write_bytes(content)
    command = [sys.executable, str(debsecan_as_cyclonedx.__file__), "{sbom}", *program]
    command += ["--suite", "bookworm", "--source", folder.as_uri()]
    scan = Scan.model_validate({"command": command, "at_most": "medium", **more})
    return scan, Scanning("stable", scan, folder, TODAY).scanned("a-cell", DIGEST, sbom)


def test_what_it_finds_is_refused_until_it_is_allowed(
    program: tuple[str, ...], sbom: dict[str, Any], tmp_path: Path
) -> None:
    known = database(
        "gcc-defaults,0,SHRF,1.204,", "libsigc++-2.0,1,SL F,2.12.1-1,", "apt,2,S   ,2.6.1,"
    )
    scan, found = scanned(program, sbom, tmp_path, known)
    assert found.judged.refused == (Finding("CVE-2099-0001", "high", ("gcc 4:12.2.0-3",)),)
    below = Finding("CVE-2099-0002", "low", ("libsigc++-2.0-0v5 2.12.0-1",))
    assert found.judged.below == (below,)
    with pytest.raises(PublishRefused, match=r"^known vulnerabilities; the channel stable allows"):
        check("stable", scan, [found])
    scan, found = scanned(program, sbom, tmp_path, known, allow=[ALLOWED])
    assert [one.id for one, _ in found.judged.allowed] == ["CVE-2099-0001"]
    check("stable", scan, [found])


def test_where_each_package_has_the_fix_it_finds_nothing(
    program: tuple[str, ...], sbom: dict[str, Any], tmp_path: Path
) -> None:
    known = database("gcc-defaults,0,SHRF,1.203,", "libsigc++-2.0,1,SHRF,2.12.0-1,")
    scan, found = scanned(program, sbom, tmp_path, known, at_most="none")
    assert (found.judged.worst, found.judged.below) == ("none", ())
    check("stable", scan, [found])


def test_what_its_own_whitelist_has_is_found(
    program: tuple[str, ...], sbom: dict[str, Any], tmp_path: Path
) -> None:
    whitelist = tmp_path / "whitelist"
    whitelist.write_text("VERSION 0\nCVE-2099-0001,\n")
    known = database("gcc-defaults,0,SHRF,1.204,")
    _, found = scanned((*program, "--whitelist", str(whitelist)), sbom, tmp_path, known)
    assert [one.id for one in found.judged.refused] == ["CVE-2099-0001"]


@pytest.mark.parametrize("content", [b"", b"<html>", database()[:-8], database("half a li")])
def test_without_a_database_that_it_can_read_it_gives_no_answer(
    program: tuple[str, ...], sbom: dict[str, Any], tmp_path: Path, content: bytes
) -> None:
    with pytest.raises(PublishRefused, match="gave no answer"):
        scanned(program, sbom, tmp_path, content)
