"""A channel's scanner is asked, and refuses where it does not answer. The scanners are made up."""

from __future__ import annotations

import datetime
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from made_up_scanner import SBOM, TODAY, answer, rated, scanner

from made_up_programs import PATIENCE, Starter
from rocm_images import supervisor as supervising
from rocm_images.cli.main import main
from rocm_images.errors import PublishRefused
from rocm_images.matrix.schema import Scan
from rocm_images.publishing import scanning
from rocm_images.publishing.scanner_environment import environment_for
from rocm_images.publishing.scanning import Scanned, Scanning, check, keep, scan_path, scan_table

SECRETS = (
    *("COSIGN_PASSWORD", "SIGSTORE_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "VAULT_TOKEN"),
    *("GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN", "DOCKER_AUTH_CONFIG", "ROCM_IMAGES_SIGNING_KEY"),
    *("AWS_SECRET_ACCESS_KEY", "THE_KEY"),
)
DIGEST = f"sha256:{'d' * 64}"
BAD = answer(rated("CVE-2099-0001", "critical"), rated("CVE-2099-0002", "low"))


def asked(folder: Path, script: str, *, seconds: float = 60, **more: Any) -> Scanning:
    path = scanner(folder, script)
    scan = Scan.model_validate({"command": [str(path), "{sbom}"], "at_most": "medium", **more})
    return Scanning("stable", scan, folder, TODAY, seconds)


def scanned(one: Scanning) -> Scanned:
    return one.scanned("sglang-942-rocm7.2.2", DIGEST, SBOM)


def says(folder: Path, content: bytes) -> str:
    (folder / "answer.json").write_bytes(content)
    return "cat answer.json"


def test_a_scanner_is_given_the_sbom_and_its_answer_is_read(tmp_path: Path) -> None:
    one = asked(tmp_path, f'cp "$1" given.json; {says(tmp_path, BAD)}')
    found = scanned(one)
    assert json.loads((tmp_path / "given.json").read_bytes()) == SBOM
    assert [each.id for each in found.judged.refused] == ["CVE-2099-0001"]
    assert [each.id for each in found.judged.below] == ["CVE-2099-0002"]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo database missing >&2; exit 3", "status 3 (database missing)"),
        ("cat answer.json; exit 1", "status 1 (no reason)"),
        ("echo no vulnerabilities found", "Expecting value"),
        ("exit 0", "it is empty"),
        ('cat "$1"', "no CycloneDX with vulnerabilities"),
        ("kill -9 $$", "status -9"),
        ("printf '\\033[2J' >&2; exit 1", "\\u001b[2J"),
    ],
)
def test_a_scanner_that_fails_or_says_something_else_refuses(
    tmp_path: Path, script: str, said: str
) -> None:
    says(tmp_path, answer())
    with pytest.raises(PublishRefused) as caught:
        scanned(asked(tmp_path, script))
    assert said in str(caught.value)
    assert "gave no answer" in str(caught.value)


def test_a_scanner_that_cannot_be_started_refuses(tmp_path: Path) -> None:
    one = asked(tmp_path, "")
    (tmp_path / "scanner").unlink()
    with pytest.raises(PublishRefused, match="cannot be started"):
        scanned(one)


@pytest.mark.parametrize("script", ["exec sleep 600", "exec >&- 2>&-; exec sleep 600"])
def test_a_scanner_that_hangs_refuses(tmp_path: Path, script: str) -> None:
    with pytest.raises(PublishRefused, match=r"has not ended after 0\.2 s"):
        scanned(asked(tmp_path, script, seconds=0.2))


def test_a_scanner_that_writes_without_end_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "MOST_BYTES", 1 << 20)
    with pytest.raises(PublishRefused, match="larger than 1 MiB"):
        scanned(asked(tmp_path, "exec yes '{\"vulnerabilities\": []}'"))


@pytest.mark.parametrize(
    ("goes_on", "said"),
    [("wait", "it has not ended after 60 s"), ("yes", "larger than 1 MiB")],
    ids=["hangs", "floods"],
)
def test_of_a_scanner_that_is_given_up_nothing_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, goes_on: str, said: str
) -> None:
    monkeypatch.setattr(scanning, "MOST_BYTES", 1 << 20)
    starter = Starter(tmp_path)
    if goes_on != "yes":
        starter.over_once_begun(monkeypatch)
    give_no_grace = supervising.give_no_grace
    lived: list[int] = []

    def give_up(process: subprocess.Popen[bytes]) -> None:
        lived.append(starter.living)
        give_no_grace(process)

    monkeypatch.setattr(supervising, "give_no_grace", give_up)
    with pytest.raises(PublishRefused, match=said):
        scanned(asked(tmp_path, starter.script + goes_on, seconds=PATIENCE))
    assert lived == [2]
    assert starter.living == 0
    # It was not given the time to end as it would.
    assert not starter.asked


def test_a_scanner_that_complains_without_end_is_read_to_its_end(tmp_path: Path) -> None:
    script = f"head -c 3000000 /dev/zero >&2; {says(tmp_path, answer())}"
    assert scanned(asked(tmp_path, script)).judged.worst == "none"


def test_a_scanner_is_given_nothing_that_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SECRETS:
        monkeypatch.setenv(name, "secret")
    for name in ("GRYPE_DB_CACHE_DIR", "GRYPE_REGISTRY_AUTH_PASSWORD", "LC_ALL", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"of {name}")
    script = f"env > given; {says(tmp_path, answer())}"
    scanned(asked(tmp_path, script, environment=["GRYPE_DB_CACHE_DIR", "NOT_SET_ANYWHERE"]))
    given = dict(line.split("=", 1) for line in (tmp_path / "given").read_text().splitlines())
    assert "secret" not in given.values()
    assert {"PATH", "HOME", "LC_ALL", "HTTPS_PROXY", "GRYPE_DB_CACHE_DIR"} <= set(given)
    assert not {"GRYPE_REGISTRY_AUTH_PASSWORD", "NOT_SET_ANYWHERE"} & set(given)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("env://THE_KEY", "THE_KEY"),
        ("hashivault://key", "VAULT_TOKEN"),
        ("awskms:///alias/key", "AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_a_variable_by_which_the_key_is_had_is_given_to_no_scanner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, name: str
) -> None:
    monkeypatch.setenv(name, "secret")
    one = asked(tmp_path, says(tmp_path, answer()), environment=[name])
    with pytest.raises(PublishRefused, match=f"{name} is what --sign-key"):
        scanned(replace(one, key=key))
    # By which another key would be had, it may be.
    assert environment_for("stable", one.scan, "cosign.key", {name: "a"}) == {name: "a"}
    # Nor does one that every program gets go with it.
    needed = asked(tmp_path, "")
    assert environment_for("stable", needed.scan, "env://LANG", {"LANG": "a", "TZ": "b"}) == {
        "TZ": "b"
    }


def test_a_publication_is_refused_for_it_before_anything_is_looked_for(
    matrix_file: Callable[..., Path],
) -> None:
    scan = "{command: [s, '{sbom}'], at_most: low, environment: [THE_KEY]}"
    channel = f"channels:\n  a: {{evidence: gpu, why: w, scan: {scan}}}\nadvisories:\n"
    path = matrix_file(("advisories:\n", channel))
    words = ["--matrix", str(path), "--channel", "a", "--sign-key", "env://THE_KEY"]
    done = CliRunner().invoke(main, ["publish", *words])
    assert isinstance(done.exception, PublishRefused)
    assert "channels.a.scan.environment: THE_KEY" in str(done.exception)


def test_a_refusal_shows_the_findings_as_a_table(tmp_path: Path) -> None:
    allow = [{"id": "CVE-2099-0001", "why": "w", "until": "2026-11-25"}]
    one = asked(tmp_path, says(tmp_path, BAD), allow=allow)
    with pytest.raises(PublishRefused) as caught:
        check("stable", one.scan, [scanned(one)])
    lines = str(caught.value).splitlines()
    assert lines[1].split() == ["CELL", "ID", "SEVERITY", "IN", "ALLOWED"]
    assert "CVE-2099-0001  critical  openssl 3.0.19  ended 2026-11-25" in lines[2]
    assert "channels.stable.scan.allow" in lines[-1] or "channels.stable.scan.allow" in lines[-2]
    assert "CVE-2099-0002" not in str(caught.value)


def test_what_is_within_the_bound_or_allowed_is_let_through_and_reported(tmp_path: Path) -> None:
    allow = [{"id": "CVE-2099-0001", "why": "w", "until": "2026-11-26"}]
    one = asked(tmp_path, says(tmp_path, BAD), allow=allow)
    found = scanned(one)
    check("stable", one.scan, [found])
    row = scan_table([found]).splitlines()[1]
    assert "critical" in row
    assert "CVE-2099-0001 until 2026-11-26" in row


@pytest.mark.parametrize(
    ("findings", "rest"), [(2, "and 1 more finding, in the"), (4, "and 3 more findings, in the")]
)
def test_a_refusal_says_how_many_findings_it_does_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, findings: int, rest: str
) -> None:
    monkeypatch.setattr(scanning, "MOST_FINDINGS", 1)
    given = answer(*(rated(f"CVE-2099-000{number}", "high") for number in range(findings)))
    one = asked(tmp_path, says(tmp_path, given))
    with pytest.raises(PublishRefused, match=rest):
        check("stable", one.scan, [scanned(one)])


@pytest.mark.parametrize(("content", "passed"), [(BAD, False), (answer(), True)])
def test_what_was_found_is_kept_beside_the_evidence(
    tmp_path: Path, content: bytes, passed: bool
) -> None:
    one = asked(tmp_path, says(tmp_path, content))
    keep(tmp_path, one, scanned(one))
    kept = json.loads(scan_path(tmp_path, DIGEST).read_text())
    assert (kept["image"], kept["passed"], kept["channel"]) == (DIGEST, passed, "stable")
    assert len(kept["refused"]) == int(not passed)
    assert datetime.date.fromisoformat(kept["date"]) == TODAY
