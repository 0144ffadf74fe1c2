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
from test_findings import answer, rated
from test_scanning import scanner

from made_up_publication import There, already_there
from rocm_images.build.progress import PlainLines
from rocm_images.build.targets import Target, with_published
from rocm_images.engine.images import EngineImage
from rocm_images.errors import PublishRefused, VerificationFailed
from rocm_images.matrix.schema import Scan
from rocm_images.publishing.candidates import Candidate, candidates
from rocm_images.publishing.document import planned, published
from rocm_images.publishing.rolling_tags import Move
from rocm_images.publishing.scanning import Scanning, scan_path
from rocm_images.publishing.transaction import Phase, Publication, Transaction
from rocm_images.registry.manifest import digest_of
from rocm_images.registry.statements import EVIDENCE, PROVENANCE, RELEASE
from rocm_images.registry.trust import Signer, Trust
from rocm_images.sbom.document import KIND as SBOM
from rocm_images.sbom.made import keep_sbom, sbom_path

TODAY = datetime.date(2026, 11, 26)
NONE = answer()
BAD = answer(rated("CVE-2099-0001", "critical"))


class Site:
    """One image that a registry and an engine have, and a channel with a scanner."""

    def __init__(self, target: Target, folder: Path, there: There, moved: list[str]) -> None:
        self.folder, self.there, self.moved = folder, there, moved
        self.cosign = there.cosign
        transaction, self.candidate = already_there(target, folder, there)
        self.rules, self.given = transaction.rules, self.candidate.target
        self.image = there.tags[target.immutable_tag]
        self.phases: list[Phase] = []

    @property
    def reference(self) -> str:
        return self.there.reference(self.image.digest)

    @property
    def asked_about(self) -> dict[str, Any] | None:
        """The SBOM that the scanner was given; None where it was not asked."""
        path = self.folder / "given.json"
        return json.loads(path.read_bytes()) if path.exists() else None

    @property
    def elsewhere(self) -> Candidate:
        """The same where only the registry has the image."""
        return replace(self.candidate, target=replace(self.candidate.target, found=None))

    def publish(
        self,
        said: bytes,
        candidate: Candidate | None = None,
        *,
        move_tags: bool = True,
        **more: Any,
    ) -> Publication:
        work = self.work(said, **more)
        return work.run([candidate or self.candidate], move_tags=move_tags)

    def work(
        self, said: bytes, *, today: datetime.date = TODAY, script: str = "", **scan: Any
    ) -> Transaction:
        """What publishes to a channel with a scanner that answers so."""
        (self.folder / "answer.json").write_bytes(said)
        program = scanner(self.folder, f'cp "$1" given.json; {script}\ncat answer.json')
        command = {"command": [str(program), "{sbom}"], "at_most": "medium"}
        asked = Scan.model_validate({**command, **scan})
        channel = self.rules.channel.model_copy(update={"scan": asked})
        rules = replace(self.rules, channel=channel)
        return Transaction(
            rules,
            None,
            Signer("key"),
            PlainLines(),
            self.phases.append,
            folder=self.folder,
            today=lambda: today,
        )


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


def test_what_was_published_is_one_object_for_machines(site: Site) -> None:
    allow = [{"id": "CVE-2099-0001", "why": "not reachable", "until": "2026-11-26"}]
    low = rated("CVE-2099-0002", "low")
    found = site.publish(answer(rated("CVE-2099-0001", "critical"), low), allow=allow)
    (told,) = published(site.there, found)["images"]  # type: ignore[arg-type]
    asked = json.dumps(bill_of(site.image.digest)).encode()
    assert told == {
        "cell": site.candidate.cell.name,
        "digest": site.image.digest,
        "immutable_tag": site.candidate.immutable,
        "tags": [f"{tag}-preview" for tag in site.candidate.cell.tags],
        "scan": {
            "sbom": digest_of(asked),
            "worst": "critical",
            "within_bound": ["CVE-2099-0002"],
            "allowed": [{"id": "CVE-2099-0001", "severity": "critical", "until": "2026-11-26"}],
        },
        "evidence": str(site.candidate.evidence.level),
        "layers_sent": None,
        "signed": True,
        "attestations": [EVIDENCE, PROVENANCE, SBOM, RELEASE],
    }
    # Again nothing is added, and all of it is there.
    (again,) = published(site.there, site.publish(NONE))["images"]  # type: ignore[arg-type]
    assert (again["signed"], again["attestations"]) == (False, told["attestations"])
    # A push releases nothing.
    site.cosign.attached.clear()
    pushed = published(site.there, site.publish(NONE, move_tags=False))  # type: ignore[arg-type]
    assert pushed["images"][0]["attestations"] == [EVIDENCE, PROVENANCE, SBOM]
    assert pushed["images"][0]["scan"] is None


@pytest.mark.parametrize("pushed", [True, False])
def test_what_would_be_published_has_a_digest_where_the_registry_has_it(
    site: Site, pushed: bool
) -> None:
    candidate = site.candidate if pushed else replace(site.candidate, published=None)
    (scanned,) = site.work(NONE).scan([candidate])
    (told,) = planned(site.there, [candidate], [], [scanned])["images"]  # type: ignore[arg-type]
    assert told["digest"] == (site.image.digest if pushed else None)
    assert told["scan"]["worst"] == "none"
    assert "signed" not in told


def test_where_a_tag_moves_is_told_by_digests(site: Site) -> None:
    moving = [Move("a", None, site.image), Move("b", site.image, site.image)]
    assert planned(site.there, [], moving, [])["tags"] == [  # type: ignore[arg-type]
        {"tag": "a", "before": None, "after": site.image.digest},
        {"tag": "b", "before": site.image.digest, "after": site.image.digest},
    ]


@pytest.mark.parametrize("until", [None, "2027-01-31"])
def test_the_end_of_the_channel_is_in_the_entry_of_what_is_published(
    site: Site, until: str | None
) -> None:
    channel = site.rules.channel.model_copy(update={"until": until})
    site.rules = replace(site.rules, channel=channel)
    (spent,) = site.publish(NONE).spent
    assert spent.image.channel_until == until
