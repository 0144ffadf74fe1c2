"""Somebody who can push and has no key, with images, tags and evidence: docs/security.md."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import four_cells
import pytest
from attacked_site import CELL, OTHER, OTHER_TAG, SHORT_TAG, TAG, Site, repository_of

from conftest import PROJECT, Answer
from publishing_site import QUICK, publish
from registry import Registry
from rehearsal.stand_ins import Rehearsal
from rocm_images.build.targets import targets_of
from rocm_images.errors import PublishRefused, VerificationFailed
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load
from rocm_images.plan.selection import cell_named
from rocm_images.publishing.candidates import Candidate, Rules, candidates
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.manifest import Manifest
from rocm_images.registry.published import image_at
from rocm_images.registry.statements import EVIDENCE, RELEASE
from rocm_images.registry.verified import verified
from rocm_images.smoke.evidence import Evidence

EVIDENCE_FOLDER = PROJECT / "build" / "evidence"
_INDEX = "application/vnd.oci.image.index.v1+json"


def put(repository: Repository, document: dict[str, Any]) -> Manifest:
    manifest = Manifest(json.dumps(document).encode())
    repository.put_tag("put", manifest)
    return manifest


def entry(manifest: Manifest, architecture: str) -> dict[str, Any]:
    return {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": manifest.digest,
        "size": len(manifest.content),
        "platform": {"os": "linux", "architecture": architecture},
    }


@pytest.fixture
def index_of_both(site: Site) -> Manifest:
    """The genuine image first, for machines that nobody has; a foreign one for this machine."""
    foreign = site.registry.push("sglang-rocm", "foreign", {"foreign": "image"})
    document = {
        "schemaVersion": 2,
        "mediaType": _INDEX,
        "manifests": [
            entry(site.manifest(site.immutable), "s390x"),
            entry(site.manifest(foreign), "amd64"),
        ],
    }
    return put(site.repository, document)


def test_an_index_of_our_image_and_a_foreign_one_is_neither_signed_nor_moved_to_nor_pulled(
    site: Site, index_of_both: Manifest
) -> None:
    before = site.digest(TAG)
    site.repository.put_tag(site.immutable, index_of_both)
    refused = publish(site.keys, site.registry.address, *CELL)
    assert refused.code in (8, 10), refused.stderr
    assert site.digest(TAG) == before
    signature = f"sha256-{index_of_both.digest.removeprefix('sha256:')}.sig"
    assert site.repository.digest_of(signature) is None
    site.repository.put_tag(TAG, index_of_both)
    for name in (TAG, site.immutable, index_of_both.digest):
        assert site.pull(name).code == 10


def of_the_registry_alone(site: Site) -> list[Candidate]:
    """What a publisher without an engine would publish."""
    matrix = load(four_cells.PATH)
    cell = cell_named(cells_of(matrix), "sglang-942-rocm7.2.0")
    cosign = site.cosign
    trust = site.trust
    channel = matrix.channels["preview"]
    rules = Rules(site.repository, "preview", channel, EVIDENCE_FOLDER, cosign, trust)
    return candidates(rules, targets_of(Rehearsal(), four_cells.PATH, matrix, [cell]))


def test_the_same_index_is_refused_where_only_the_registry_has_the_image(
    site: Site, index_of_both: Manifest
) -> None:
    assert len(of_the_registry_alone(site)) == 1
    site.repository.put_tag(site.immutable, index_of_both)
    with pytest.raises((PublishRefused, VerificationFailed)):
        of_the_registry_alone(site)


def test_evidence_of_other_tests_does_not_count_in_the_registry_either(site: Site) -> None:
    digest = site.digest(site.immutable)
    evidence = Evidence.read(EVIDENCE_FOLDER, digest)
    assert evidence is not None
    cosign = site.cosign
    reference, signer = site.repository.reference(digest), site.signer
    cosign.attest(reference, EVIDENCE, replace(evidence, tests="0" * 64).document, signer)
    try:
        with pytest.raises(PublishRefused, match="passed other tests than these"):
            of_the_registry_alone(site)
        there = ("--rehearse", "--channel", "preview", *CELL)
        planned = site.run("ci-matrix", *there, "--missing-from", site.registry.address)
        assert "passed other tests than these" in json.loads(planned.stdout)["include"][0]["why"]
    finally:
        # As a machine does that has tested it again.
        pushed = site.verb("push", *CELL, key=site.keys.ours)
    assert pushed.code == 0, pushed.stderr
    assert len(of_the_registry_alone(site)) == 1


@pytest.mark.parametrize("moved", [TAG, "latest", "v0.5.21-rocm720-mi30x"])
def test_a_rolling_or_invented_tag_on_another_image_of_ours_is_refused(
    site: Site, moved: str
) -> None:
    site.move(moved, OTHER_TAG)
    refused = site.pull(moved)
    assert (refused.code, f"never given the tag {moved}" in refused.stderr) == (10, True)


def test_an_immutable_tag_on_another_image_of_ours_is_refused(site: Site) -> None:
    site.move(site.immutable, OTHER_TAG)
    refused = site.pull(site.immutable)
    assert (refused.code, "someone moved an immutable tag" in refused.stderr) == (10, True)
    refused = publish(site.keys, site.registry.address, *CELL)
    assert (refused.code, "an immutable tag is never overwritten" in refused.stderr) == (8, True)


def test_a_rollback_goes_to_no_image_that_its_tag_or_its_channel_does_not_name(
    site: Site,
) -> None:
    where = ("--registry", site.registry.address, "--to", site.immutable)
    refused = site.run("rollback", "--rehearse", "--channel", "stable", *where)
    assert refused.code == 10, refused.stderr
    assert "never published to the channel stable" in refused.stderr
    site.move(site.immutable, OTHER_TAG)
    refused = site.verb("rollback", "--to", site.immutable)
    assert (refused.code, "someone moved an immutable tag" in refused.stderr) == (10, True)


def test_a_mirror_takes_no_image_by_a_tag_that_it_was_not_given(
    site: Site, registry: Registry
) -> None:
    site.move(OTHER_TAG, TAG)
    refused = site.verb("mirror", *OTHER, "--to", registry.address)
    assert refused.code == 10, refused.stderr
    assert registry.uploads() == []
    bundle = site.verb("bundle", *OTHER, "--output", str(PROJECT / "build" / "none.tar"))
    assert bundle.code == 10
    assert not (PROJECT / "build" / "none.tar").exists()


@pytest.fixture
def passed_on(site: Site) -> Iterator[None]:
    """The generic tag was the first image's, until its publisher gave it to the second."""
    cosign = site.cosign
    trust, signer = site.trust, site.signer
    image = image_at(site.repository, site.immutable)
    assert image is not None
    release = verified(cosign, image, trust).release
    assert release is not None
    begun = release.channels["preview"].date - datetime.timedelta(days=1)
    before = release.with_channel("preview", (TAG, SHORT_TAG), begun)
    cosign.attest(image.reference, RELEASE, before.document, signer)
    yield
    cosign.attest(image.reference, RELEASE, release.document, signer)


def test_a_mirror_has_a_tag_that_was_passed_on_where_its_publisher_gave_it_last(
    site: Site, passed_on: None, registry: Registry, tmp_path: Path
) -> None:
    def mirror(*cells: str) -> Answer:
        return site.verb("mirror", *cells, "--to", registry.address)

    here = repository_of(registry)
    for cells in (OTHER, CELL):
        mirrored = mirror(*cells)
        assert mirrored.code == 0, mirrored.stderr
    assert here.digest_of(SHORT_TAG) == site.digest(OTHER_TAG)
    path = tmp_path / "site.tar"
    assert site.verb("bundle", *CELL, "--output", str(path)).code == 0
    words = ("publish", "--from", str(path), "--registry", registry.address, "--rehearse")
    loaded = site.run(*words, "--output", str(tmp_path))
    assert loaded.code == 0, loaded.stderr
    assert f"{SHORT_TAG} stays where it is" in loaded.stderr
    site.move(SHORT_TAG, TAG)
    refused = mirror(*CELL)
    assert (refused.code, "would go back in time" in refused.stderr) == (10, True), refused.stderr
    assert here.digest_of(SHORT_TAG) == site.digest(OTHER_TAG)


def test_a_mirror_gets_newer_evidence_and_keeps_it(site: Site, registry: Registry) -> None:
    digest = site.digest(site.immutable)
    evidence = Evidence.read(EVIDENCE_FOLDER, digest)
    assert evidence is not None
    newer = replace(evidence, date="2099-01-01T00:00:00+00:00")
    signer, trust = site.signer, site.trust
    cosign = site.cosign
    there = RegistryAddress.parse(registry.address)
    here = Repository(there, "sglang-rocm", retries=QUICK)
    seen = []
    for said in (evidence, newer, evidence):
        cosign.attest(site.repository.reference(digest), EVIDENCE, said.document, signer)
        mirrored = site.verb("mirror", *CELL, "--to", registry.address)
        assert mirrored.code == 0, mirrored.stderr
        image = image_at(here, digest)
        assert image is not None
        seen.append(verified(Cosign(there, site.keys.environment), image, trust).evidence.date)
    assert seen == [evidence.date, newer.date, newer.date]
    assert "keeps what is signed of" in mirrored.stderr
    late = ("--not-before", "2999-01-01")
    refused = site.verb("mirror", *CELL, "--to", registry.address, *late)
    assert (refused.code, "was given that tag on 20" in refused.stderr) == (10, True)


def test_what_was_moved_back_is_shown_with_its_date_and_refused_where_asked(site: Site) -> None:
    pulled = site.pull(TAG)
    assert pulled.code == 0, pulled.stderr
    assert "it got that tag on 20" in pulled.stderr
    refused = site.pull(TAG, "--not-before", "2999-01-01")
    assert (refused.code, "was given that tag on 20" in refused.stderr) == (10, True)
    assert site.pull(TAG, "--not-before", "2026-01-01").code == 0
