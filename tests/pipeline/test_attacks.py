"""Somebody who can push, or who gives a user a file, and has no key: docs/security.md."""

from __future__ import annotations

import datetime
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import docker
import four_cells
import pytest

from conftest import PROJECT, Answer, Keys, run_build_py
from publishing_site import CHANNEL, QUICK, listed, publish
from registry import Registry
from rehearsal.stand_ins import Rehearsal
from rocm_images.build.targets import targets_of
from rocm_images.catalogue import file
from rocm_images.catalogue.schema import Catalogue
from rocm_images.catalogue.signed import Signed, bring, put_signed, signed, signed_in
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
from rocm_images.registry.trust import Signer, Trust
from rocm_images.registry.verified import verified
from rocm_images.smoke.evidence import Evidence

CELL = ("--arch", "942", "--base", "7.2.0")
OTHER = ("--arch", "942", "--base", "7.2.2")
TAG = "v0.5.21-rocm720-mi30x-rehearsal-preview"
OTHER_TAG = "v0.5.21-rocm722-mi30x-rehearsal-preview"
SHORT_TAG = "v0.5.21-mi30x-rehearsal-preview"
EVIDENCE_FOLDER = PROJECT / "build" / "evidence"
_INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class Site:
    """A registry with two published images, which each test leaves as it found it."""

    registry: Registry
    repository: Repository
    immutable: str
    other_immutable: str
    keys: Keys

    def digest(self, tag: str) -> str:
        found = self.repository.digest_of(tag)
        assert found is not None
        return found

    def manifest(self, tag: str) -> Manifest:
        found = self.repository.manifest(tag)
        assert found is not None
        return found

    def move(self, tag: str, to: str) -> None:
        """What push rights allow."""
        self.repository.put_tag(tag, self.manifest(to))

    def run(self, *words: str, key: Path | None = None) -> Answer:
        key = key or self.keys.our_public
        return run_build_py(*words, "--key", str(key), environment=self.keys.environment)

    def pull(self, tag: str, *words: str) -> Answer:
        return self.run("pull", self.repository.reference(tag), *words)

    def verb(self, verb: str, *words: str, key: Path | None = None) -> Answer:
        where = ("--registry", self.registry.address)
        return self.run(verb, *CHANNEL, *where, *words, key=key)


@pytest.fixture(scope="module")
def made(
    rehearsed: Answer,
    keys: Keys,
    registry_program: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    registry = Registry(registry_program, tmp_path_factory.mktemp("attacked") / "registry")
    registry.start()
    assert run_build_py("--arch", "942", "--rehearse", "--no-smoke").code == 0
    published = publish(keys, registry.address, "--arch", "942")
    assert published.code == 0, published.stderr
    address = RegistryAddress.parse(registry.address)
    repository = Repository(address, "sglang-rocm", retries=QUICK)
    catalogue = listed(keys, registry.address)
    tags = {image.rocm: image.immutable_tag for image in catalogue.images}
    yield Site(registry, repository, tags["7.2.0"], tags["7.2.2"], keys)
    registry.stop()


@pytest.fixture
def site(made: Site, client: docker.DockerClient) -> Iterator[Site]:
    names = (TAG, OTHER_TAG, SHORT_TAG, made.immutable, made.other_immutable, "catalogue")
    before = {name: made.manifest(name) for name in names}
    yield made
    for name, manifest in before.items():
        made.repository.put_tag(name, manifest)
    # A pull gives the engine's image the name that it was asked for by.
    for image in client.images.list(filters={"reference": f"{made.repository}:*"}):
        for name in image.tags:
            if name.startswith(str(made.repository)):
                client.images.remove(name)


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
    cosign = Cosign(site.repository.address, site.keys.environment)
    trust = Trust(key=str(site.keys.our_public))
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
    cosign = Cosign(site.repository.address, site.keys.environment)
    reference, signer = site.repository.reference(digest), Signer(str(site.keys.ours))
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
    cosign = Cosign(site.repository.address, site.keys.environment)
    trust, signer = Trust(key=str(site.keys.our_public)), Signer(str(site.keys.ours))
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

    here = Repository(RegistryAddress.parse(registry.address), "sglang-rocm", retries=QUICK)
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
    signer, trust = Signer(str(site.keys.ours)), Trust(key=str(site.keys.our_public))
    cosign = Cosign(site.repository.address, site.keys.environment)
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


def with_a_foreign_entry(catalogue: Catalogue) -> Catalogue:
    image = catalogue.images[0].model_copy(update={"digest": f"sha256:{'6' * 64}"})
    return catalogue.model_copy(update={"images": (image, *catalogue.images[1:])})


def foreign_catalogues(site: Site) -> dict[str, Callable[[], None]]:
    there = signed_in(site.repository)
    assert there is not None
    content = file.text_of(with_a_foreign_entry(file.parse(there.content, "it"))).encode()
    cosign = Cosign(site.repository.address, site.keys.environment)

    def of_another_key() -> None:
        path = PROJECT / "build" / "foreign-catalogue.json"
        path.write_bytes(content)
        try:
            signature = cosign.sign_file(path, Signer(str(site.keys.others)))
        finally:
            path.unlink()
        put_signed(site.repository, Signed(content, signature.encode()))

    return {
        "with our signature of another one": lambda: put_signed(
            site.repository, Signed(content, there.signature)
        ),
        "signed by another key": of_another_key,
        "without a signature": lambda: site.move("catalogue", TAG),
    }


@pytest.mark.parametrize(
    "kind",
    ["with our signature of another one", "signed by another key", "without a signature"],
)
def test_a_catalogue_that_somebody_else_wrote_recommends_nothing_and_is_not_kept(
    site: Site, registry: Registry, tmp_path: Path, kind: str
) -> None:
    foreign_catalogues(site)[kind]()
    folder = tmp_path / "fetched"
    there = ("--registry", site.registry.address, "--output", str(folder))
    fetched = site.run("catalogue", *there)
    assert fetched.code == 10, fetched.stderr
    assert not folder.exists()
    before = site.digest("catalogue")
    for verb, *words in (
        ("publish", *CELL),
        ("mirror", *CELL, "--to", registry.address),
        ("bundle", *CELL, "--output", str(tmp_path / "site.tar")),
    ):
        key = site.keys.ours if verb == "publish" else None
        refused = site.verb(verb, *words, key=key)
        assert refused.code == 10, (verb, refused.stderr)
    assert site.digest("catalogue") == before
    assert "--mend-catalogue" in site.verb("publish", *CELL, key=site.keys.ours).stderr
    anew = site.verb("publish", *CELL, "--mend-catalogue", key=site.keys.ours)
    assert anew.code == 0, anew.stderr
    assert [image.rocm for image in listed(site.keys, site.registry.address).images] == ["7.2.0"]


def test_a_catalogue_file_is_taken_with_its_signature_alone(site: Site, tmp_path: Path) -> None:
    there = ("--registry", site.registry.address, "--output", str(tmp_path))
    assert site.run("catalogue", *there).code == 0
    path = tmp_path / "catalogue.json"
    pick = ("pick", "--arch", "942", "--catalogue", str(path))
    picked = site.run(*pick)
    assert picked.code == 0, picked.stderr
    foreign = file.text_of(with_a_foreign_entry(file.read(path)))
    path.write_text(foreign)
    assert site.run(*pick).code == 10
    assert site.run("run-args", SHORT_TAG, "--catalogue", str(path)).code == 10
    deploy = ("deploy", SHORT_TAG, "--as", "compose", "--model", "a/b", "--catalogue", str(path))
    assert site.run(*deploy).code == 10
    (tmp_path / "catalogue.sig.json").unlink()
    assert site.run(*pick).code == 2


def test_the_catalogue_of_another_repository_of_ours_stops_a_publication(
    site: Site, registry: Registry
) -> None:
    # Signed by us, and put here by somebody else: its images are not here.
    theirs = signed_in(site.repository)
    assert theirs is not None
    here = Repository(RegistryAddress.parse(registry.address), "sglang-rocm", retries=QUICK)
    put_signed(here, theirs)
    refused = publish(site.keys, registry.address, *CELL)
    assert (refused.code, "somebody put it here" in refused.stderr) == (10, True), refused.stderr
    assert listed(site.keys, registry.address).images == ()
    published = publish(site.keys, registry.address, *CELL, "--mend-catalogue")
    assert published.code == 0, published.stderr
    found = listed(site.keys, registry.address)
    assert [image.rocm for image in found.images] == ["7.2.0"]
    assert {image.repository for image in found.images} == {str(here)}


def test_an_older_catalogue_of_ours_or_none_stops_a_publication(site: Site) -> None:
    now = signed_in(site.repository)
    assert now is not None
    cosign = Cosign(site.repository.address, site.keys.environment)
    known = file.parse(now.content, "it")
    gone_back = [
        image.model_copy(update={"digest": f"sha256:{'5' * 64}"})
        if image.rocm == "7.2.2"
        else image
        for image in known.images
    ]
    older = known.model_copy(update={"images": tuple(gone_back)})
    put_signed(site.repository, signed(older, cosign, Signer(str(site.keys.ours))))
    refused = publish(site.keys, site.registry.address, *CELL)
    assert refused.code == 10
    assert "somebody put an older catalogue back" in refused.stderr
    # Whoever publishes that image again says what its tags are.
    assert publish(site.keys, site.registry.address, *OTHER).code == 0
    site.registry.remove("sglang-rocm", site.digest("catalogue"))
    refused = publish(site.keys, site.registry.address, *CELL)
    assert (refused.code, "somebody removed it" in refused.stderr) == (10, True), refused.stderr
    # An earlier run that stopped before the catalogue was written can be run again as it was.
    assert publish(site.keys, site.registry.address, "--arch", "942").code == 0
    assert len(listed(site.keys, site.registry.address).images) == 2


def test_a_mirror_keeps_a_newer_catalogue_than_the_one_that_was_put_back(
    site: Site, registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    cosign = Cosign(site.repository.address, site.keys.environment)
    trust, signer = Trust(key=str(site.keys.our_public)), Signer(str(site.keys.ours))
    now = listed(site.keys, site.registry.address)
    old, new = (
        signed(now.model_copy(update={"updated": f"{year}-01-01T00:00:00+00:00"}), cosign, signer)
        for year in (2025, 2099)
    )
    here = Repository(RegistryAddress.parse(registry.address), "sglang-rocm", retries=QUICK)
    for what in (old, new, old):
        bring(here, what, cosign, trust)
    assert signed_in(here) == new
    assert "keeps its catalogue of 2099" in capsys.readouterr().err
    # One that nobody who is trusted signed is no reason to keep it.
    put_signed(here, Signed(new.content, old.signature))
    bring(here, old, cosign, trust)
    assert signed_in(here) == old


@pytest.fixture(scope="module")
def bundled(made: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "site.tar"
    done = made.verb("bundle", *CELL, "--output", str(path))
    assert done.code == 0, done.stderr
    return path


def rewritten(bundled: Path, path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The bundle with another bundle.json."""
    with tarfile.open(bundled) as source, tarfile.open(path, "w") as archive:
        for member in source:
            content = source.extractfile(member)
            assert content is not None
            data = content.read()
            if member.name == "bundle.json":
                document = json.loads(data)
                change(document)
                data = json.dumps(document).encode()
                member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def _channel(document: dict[str, Any]) -> None:
    document["channel"] = "stable"


def _tags(document: dict[str, Any]) -> None:
    for image in document["images"]:
        image.update(rolling=["latest", "catalogue"], immutable="v9", cell="another")


def test_what_a_bundle_says_of_its_images_moves_no_tag(
    site: Site, bundled: Path, registry: Registry, tmp_path: Path
) -> None:
    def load(path: Path) -> Answer:
        words = ("publish", "--from", str(path), "--registry", registry.address, "--rehearse")
        return site.run(*words, "--output", str(tmp_path))

    here = Repository(RegistryAddress.parse(registry.address), "sglang-rocm", retries=QUICK)
    promoted = load(rewritten(bundled, tmp_path / "channel.tar", _channel))
    assert promoted.code == 10, promoted.stderr
    assert "was never published to the channel stable" in promoted.stderr
    assert registry.uploads() == []
    loaded = load(rewritten(bundled, tmp_path / "tags.tar", _tags))
    assert loaded.code == 0, loaded.stderr
    assert here.digest_of(TAG) == site.digest(TAG)
    assert [here.digest_of(tag) for tag in ("latest", "v9")] == [None, None]


def test_a_bundle_that_is_older_than_what_is_there_changes_nothing(
    site: Site, bundled: Path, registry: Registry, tmp_path: Path
) -> None:
    output = tmp_path / "output"

    def load(*words: str) -> Answer:
        there = ("--from", str(bundled), "--registry", registry.address, "--rehearse")
        return site.run("publish", *there, "--output", str(output), *words)

    here = Repository(RegistryAddress.parse(registry.address), "sglang-rocm", retries=QUICK)
    planned = load("--dry-run")
    assert (planned.code, TAG in planned.stdout) == (0, True), planned.stderr
    refused = load("--not-before", "2999-01-01")
    assert (refused.code, "was given that tag on 20" in refused.stderr) == (10, True)
    assert (registry.uploads(), output.exists()) == ([], False)
    cosign = Cosign(site.repository.address, site.keys.environment)
    now = listed(site.keys, site.registry.address)
    newer = now.model_copy(update={"updated": "2099-01-01T00:00:00+00:00"})
    put_signed(here, signed(newer, cosign, Signer(str(site.keys.ours))))
    loaded = load()
    assert loaded.code == 0, loaded.stderr
    assert listed(site.keys, registry.address).updated == newer.updated
    assert file.read(output / "catalogue.json").updated == newer.updated


def test_a_bundle_with_a_foreign_image_beside_ours_is_refused(
    site: Site, bundled: Path, registry: Registry, tmp_path: Path
) -> None:
    """The layout names our image, which is signed, and bundle.json another one."""
    config = json.dumps({"config": {"Labels": {}}, "os": "linux", "architecture": "amd64"}).encode()
    kinds = "application/vnd.oci.image"
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": f"{kinds}.manifest.v1+json",
            "config": {
                "mediaType": f"{kinds}.config.v1+json",
                "digest": f"sha256:{hashlib.sha256(config).hexdigest()}",
                "size": len(config),
            },
            "layers": [],
        }
    ).encode()

    def foreign(document: dict[str, Any]) -> None:
        document["images"][0]["digest"] = f"sha256:{hashlib.sha256(manifest).hexdigest()}"

    path = rewritten(bundled, tmp_path / "foreign.tar", foreign)
    with tarfile.open(path, "a") as archive:
        for content in (config, manifest):
            member = tarfile.TarInfo(f"blobs/sha256/{hashlib.sha256(content).hexdigest()}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    words = ("publish", "--from", str(path), "--registry", registry.address, "--rehearse")
    refused = site.run(*words)
    assert refused.code == 10, refused.stderr
    assert registry.uploads() == []
