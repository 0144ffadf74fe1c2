"""A publication asks its channel's scanner about the SBOM of what it is about to sign.

cosign, the registry and the scanners are made up; tests/pipeline/test_publish.py has real ones.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up_sbom import bill_of
from made_up_scanner import TODAY, answer, rated
from scanned_site import BAD, NONE, Site

from made_up_publication import There
from rocm_images.build.targets import Target, with_published
from rocm_images.engine.images import EngineImage
from rocm_images.errors import PublishRefused, VerificationFailed
from rocm_images.publishing.candidates import Candidate, candidates
from rocm_images.publishing.scanning import Scanning, scan_path
from rocm_images.publishing.transaction import Phase
from rocm_images.registry.manifest import digest_of
from rocm_images.registry.statements import RELEASE
from rocm_images.registry.trust import Trust
from rocm_images.sbom.document import KIND as SBOM
from rocm_images.sbom.made import keep_sbom, sbom_path


@pytest.fixture
def site(target: Target, tmp_path: Path, there: There, moved: list[str]) -> Site:
    return Site(target, tmp_path, there, moved)


def kept(site: Site) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(scan_path(site.folder, site.image.digest).read_text())
    return found


def one_sbom(site: Site, wanted: Mapping[str, Any]) -> None:
    """What was scanned, what is attested, and what the file of the scan names are this one."""
    assert site.asked_about == wanted
    assert site.cosign.attached[site.reference, SBOM] == wanted
    assert kept(site)["sbom"] == digest_of(json.dumps(wanted).encode())


@pytest.mark.parametrize(("said", "passed"), [(BAD, False), (NONE, True), (b"fine", False)])
def test_nothing_is_signed_and_no_tag_moves_unless_the_scanner_says_so(
    site: Site, said: bytes, passed: bool
) -> None:
    if passed:
        site.publish(said)
    else:
        with pytest.raises(PublishRefused, match="nothing was signed and no tag moved"):
            site.publish(said)
    assert (bool(site.cosign.signed), bool(site.cosign.attached), bool(site.moved)) == (passed,) * 3
    assert site.asked_about == bill_of(site.image.digest)


def test_the_scanner_is_asked_after_the_image_was_read_back_and_before_it_is_signed(
    site: Site,
) -> None:
    site.publish(NONE)
    order = [Phase.READ_BACK, Phase.SBOM, Phase.SCAN, Phase.BUDGET, Phase.SIGN]
    assert [one for one in site.phases if one in order] == order


def test_what_was_found_is_in_the_report_and_beside_the_evidence(site: Site) -> None:
    allow = [{"id": "CVE-2099-0001", "why": "not reachable", "until": "2026-11-26"}]
    (found,) = site.publish(BAD, allow=allow).scanned
    assert [one.id for one, _ in found.judged.allowed] == ["CVE-2099-0001"]
    assert kept(site)["passed"] is True
    assert kept(site)["allowed"][0]["why"] == "not reachable"
    # A day later it counts again, and the file says so.
    with pytest.raises(PublishRefused, match="ended 2026-11-26"):
        site.publish(BAD, allow=allow, today=TODAY + datetime.timedelta(days=1))
    assert kept(site)["passed"] is False


def test_a_push_and_a_channel_without_a_scanner_ask_nobody(site: Site) -> None:
    site.publish(BAD, move_tags=False)
    assert site.asked_about is None
    assert site.cosign.signed


@pytest.mark.parametrize("pushed", [True, False])
@pytest.mark.parametrize("said", [BAD, b"fine"])
def test_a_dry_run_refuses_as_the_publication_would(site: Site, said: bytes, pushed: bool) -> None:
    candidate = site.candidate if pushed else replace(site.candidate, published=None)
    with pytest.raises(PublishRefused, match="nothing was signed and no tag moved") as dry:
        site.work(said).scan([candidate])
    assert site.asked_about == bill_of(site.image.digest)
    with pytest.raises(PublishRefused) as real:
        site.publish(said)
    assert str(dry.value) == str(real.value)


@pytest.mark.parametrize("pushed", [True, False])
def test_a_dry_run_says_what_was_found_and_signs_nothing(site: Site, pushed: bool) -> None:
    candidate = site.candidate if pushed else replace(site.candidate, published=None)
    (found,) = site.work(answer(rated("CVE-2099-0001", "low"))).scan([candidate])
    assert (found.digest, found.judged.worst) == (site.image.digest, "low")
    assert kept(site)["passed"] is True
    assert (site.cosign.signed, site.cosign.attached, site.moved) == ([], {}, [])
    assert site.phases == [Phase.SBOM, Phase.SCAN]


def test_a_dry_run_asks_about_the_sbom_that_the_publication_would(site: Site) -> None:
    signed = {**bill_of(site.image.digest), "version": 7}
    site.cosign.attached[site.reference, SBOM] = signed
    for candidate in (site.candidate, site.elsewhere):
        site.work(NONE).scan([candidate])
        assert site.asked_about == signed
    del site.cosign.attached[site.reference, SBOM]
    with pytest.raises(PublishRefused, match="has no bill of materials"):
        site.work(NONE).scan([site.elsewhere])


def test_where_only_the_registry_has_an_image_the_sbom_that_is_signed_for_it_is_scanned(
    site: Site,
) -> None:
    """A file that lies here, of whatever image, is not what is scanned."""
    signed = {**bill_of(site.image.digest), "version": 7}
    keep_sbom(site.folder, site.image.digest, {**signed, "components": []})
    site.cosign.attached[site.reference, SBOM] = signed
    site.publish(NONE, site.elsewhere)
    assert site.asked_about == signed


@pytest.mark.parametrize("lies", ["other", "the same", "nothing"])
def test_where_the_engine_has_an_image_what_is_attested_is_scanned_and_not_a_file(
    site: Site, lies: str, capsys: pytest.CaptureFixture[str]
) -> None:
    signed = {**bill_of(site.image.digest), "version": 7}
    site.cosign.attached[site.reference, SBOM] = signed
    path = sbom_path(site.folder, site.image.digest)
    if lies == "other":
        keep_sbom(site.folder, site.image.digest, {**signed, "components": []})
    elif lies == "nothing":
        path.unlink()
    site.publish(NONE)
    one_sbom(site, signed)
    said = capsys.readouterr().err
    assert (f"{path} lists other things than the SBOM that is attested" in said) == (
        lies == "other"
    )
    assert (json.loads(path.read_text()) == signed) == (lies == "nothing")


@pytest.mark.parametrize("attested", [False, True])
def test_a_scanner_that_edits_what_it_is_given_and_what_lies_here_changes_nothing_that_is_signed(
    site: Site, attested: bool
) -> None:
    whole = bill_of(site.image.digest)
    if attested:
        site.cosign.attached[site.reference, SBOM] = whole
    other = json.dumps({**whole, "components": []})
    (site.folder / "other.json").write_text(other)
    path = sbom_path(site.folder, site.image.digest)
    site.publish(NONE, script=f'cp other.json "{path}"; cp other.json "$1"')
    assert path.read_text() == other
    one_sbom(site, whole)


def test_what_is_attested_while_the_scanner_is_asked_about_another_is_replaced(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = bill_of(site.image.digest)

    def asked(*given: Any, **more: Any) -> Any:
        site.cosign.attached[site.reference, SBOM] = {**whole, "version": 9}
        return scanned(*given, **more)

    scanned = Scanning.scanned
    monkeypatch.setattr(Scanning, "scanned", asked)
    site.publish(NONE)
    one_sbom(site, whole)


@pytest.mark.parametrize("attached", ["nothing", "another image's", "no SBOM"])
def test_an_sbom_that_is_not_of_the_image_makes_the_gate_pass_nowhere(
    site: Site, attached: str
) -> None:
    other = f"sha256:{'e' * 64}"
    statements = {"another image's": bill_of(other), "no SBOM": {"bomFormat": "SPDX"}}
    if attached in statements:
        site.cosign.attached[site.reference, SBOM] = statements[attached]
    before = dict(site.cosign.attached)
    with pytest.raises((VerificationFailed, PublishRefused), match="SBOM"):
        site.publish(NONE, site.elsewhere)
    assert site.asked_about is None
    assert (site.cosign.signed, site.cosign.attached, site.moved) == ([], before, [])
    assert RELEASE not in {kind for _, kind in site.cosign.attached}


def found_of(site: Site, target: Target) -> Candidate:
    """What a machine with a target would publish, as it finds it now."""
    (found,) = candidates(site.rules, [target])
    return found


def test_a_refused_image_is_published_from_the_engine_that_has_it_and_counts_nowhere_else(
    site: Site,
) -> None:
    with pytest.raises(PublishRefused, match="known vulnerabilities"):
        site.publish(BAD)
    nowhere = replace(site.given, found=None)
    with pytest.raises(PublishRefused, match="has no signature"):
        found_of(site, nowhere)
    # `build --registry` neither takes it nor builds another one under its tag.
    there = {nowhere.cell.repository: site.there}
    trust = Trust(key="cosign.pub")
    (asked,) = with_published(there, site.cosign, trust, [nowhere])  # type: ignore[arg-type, dict-item]
    assert "has no signature" in str(asked.refusal)
    assert not asked.published
    # One that was built anew from the same inputs has the same tag.
    anew = replace(site.given, found=EngineImage(f"sha256:{'e' * 64}", {}, ()))
    with pytest.raises(PublishRefused, match="an immutable tag is never overwritten"):
        found_of(site, anew)
    site.publish(NONE, found_of(site, site.given))
    assert (site.cosign.signed, site.moved) == ([site.reference], ["all"])
    assert found_of(site, nowhere).published
    (asked,) = with_published(there, site.cosign, trust, [nowhere])  # type: ignore[arg-type, dict-item]
    assert (asked.published, asked.refusal) == (site.reference, None)


def test_an_image_that_only_the_registry_has_without_an_sbom_is_to_be_pulled_first(
    site: Site,
) -> None:
    """As those that were published before there were SBOMs."""
    site.publish(NONE)
    del site.cosign.attached[site.reference, SBOM]
    nowhere = replace(site.given, found=None)
    with pytest.raises(PublishRefused) as caught:
        site.publish(NONE, found_of(site, nowhere))
    words = f"{site.given.cell.words} --registry {site.there} --pull-existing"
    assert f"run `python build.py {words}`" in str(caught.value)
    assert (site.reference, SBOM) not in site.cosign.attached
    # Then the engine has it, and what it holds is listed, scanned and signed.
    site.publish(NONE, found_of(site, site.given))
    one_sbom(site, bill_of(site.image.digest))
    site.publish(NONE, found_of(site, nowhere))


@pytest.mark.parametrize("until", [None, "2027-01-31"])
def test_the_end_of_the_channel_is_in_the_entry_of_what_is_published(
    site: Site, until: str | None
) -> None:
    channel = site.rules.channel.model_copy(update={"until": until})
    site.rules = replace(site.rules, channel=channel)
    (spent,) = site.publish(NONE).spent
    assert spent.image.channel_until == until
