"""Today's cosign and the one that distributions ship next read what the other has written.

Each signs, attests, copies and bundles as the program has it do so, on a real registry.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from registry import Registry
from rocm_images.errors import VerificationFailed
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.attached import Attachment, may_have
from rocm_images.registry.client import Repository
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.statements import EVIDENCE, RELEASE
from rocm_images.registry.trust import Signer, Trust

BOTH = ("today's", "the next")
# All the other tests have today's read what today's wrote.
PAIRS = [(writer, reader) for writer in BOTH for reader in BOTH if "the next" in (writer, reader)]


@dataclass(frozen=True)
class Site:
    """A registry, and each cosign for it with a key pair that it made itself."""

    registry: Registry
    programs: dict[str, Path]
    folder: Path

    def environment(self, version: str) -> dict[str, str]:
        path = f"{self.programs[version].parent}{os.pathsep}{os.environ['PATH']}"
        return {**os.environ, "PATH": path, "COSIGN_PASSWORD": "of these tests alone"}

    def cosign(self, version: str) -> Cosign:
        address = RegistryAddress.parse(f"http://{self.registry.address}")
        return Cosign(address, self.environment(version))

    def run(self, version: str, *words: str) -> subprocess.CompletedProcess[str]:
        """What somebody calls by hand."""
        return subprocess.run(
            ["cosign", *words],
            cwd=self.folder / version,
            env=self.environment(version),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def signer(self, version: str) -> Signer:
        return Signer(str(self.folder / version / "cosign.key"))

    def trust(self, version: str) -> Trust:
        return Trust(key=str(self.folder / version / "cosign.pub"))

    def image(self, of: str) -> str:
        """A new image by digest, which nothing is attached to."""
        digest = self.registry.push("it", "it", {"of": of})
        return f"{self.registry.address}/it@{digest}"

    def published(self, by: str, of: str) -> str:
        """An image that one version signed and attested, as `publish` does it."""
        image, cosign = self.image(f"{of} by {by}"), self.cosign(by)
        cosign.sign(image, self.signer(by))
        cosign.attest(image, EVIDENCE, {"by": by}, self.signer(by))
        return image


@pytest.fixture(scope="module")
def site(
    registry_program: Path, cosigns: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("versions")
    with Registry(registry_program, folder / "registry") as registry:
        found = Site(registry, cosigns, folder)
        for version in BOTH:
            (folder / version).mkdir()
            assert found.run(version, "generate-key-pair").returncode == 0
        yield found


@pytest.fixture(scope="module")
def written(site: Site) -> dict[str, str]:
    """An image of each version, which all tests read."""
    return {version: site.published(version, "to be read") for version in BOTH}


def test_they_are_two_versions_that_are_spoken_with(site: Site) -> None:
    assert [site.cosign(version).program.major for version in BOTH] == [2, 3]


def check(cosign: Cosign, site: Site, by: str, image: str, layout: Path | None = None) -> None:
    """A reader finds what one version wrote, and takes nobody else for its writer."""
    (other,) = set(BOTH) - {by}
    cosign.verify(image, site.trust(by), layout=layout)
    assert cosign.statements(image, EVIDENCE, site.trust(by), layout=layout) == [{"by": by}]
    with pytest.raises(VerificationFailed, match="is signed, but not by"):
        cosign.verify(image, site.trust(other), layout=layout)
    with pytest.raises(VerificationFailed, match="carries no statement"):
        cosign.statements(image, EVIDENCE, site.trust(other), layout=layout)
    with pytest.raises(VerificationFailed, match="carries no statement"):
        cosign.statements(image, RELEASE, site.trust(by), layout=layout)


@pytest.mark.parametrize(("writer", "reader"), PAIRS)
def test_either_reads_what_the_other_signed(
    site: Site, written: dict[str, str], writer: str, reader: str
) -> None:
    image, cosign = written[writer], site.cosign(reader)
    check(cosign, site, writer, image)
    unsigned = site.image(f"nobody's, for {reader} after {writer}")
    with pytest.raises(VerificationFailed, match="has no signature"):
        cosign.verify(unsigned, site.trust(writer))
    # The words of the documents and of the catalogue's page.
    trusted = (f"--key={site.trust(writer).key}", "--insecure-ignore-tlog=true")
    assert site.run(reader, "verify", *trusted, image).returncode == 0
    words = ("verify-attestation", *trusted, "--type", EVIDENCE, image)
    assert site.run(reader, *words).returncode == 0


@pytest.mark.parametrize("version", BOTH)
def test_one_call_reads_several_images_and_what_is_attached_lies_where_it_is_asked_for(
    site: Site, written: dict[str, str], version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cosign, trust = site.cosign(version), site.trust(version)
    images = [written[version], site.published(version, "another")]
    assert cosign.registry is not None
    there = Repository(cosign.registry, "it")
    lacks = site.image(f"nobody's, beside those by {version}")
    for image in (*images, lacks):
        found = [may_have(there, cosign, image.partition("@")[2], what) for what in Attachment]
        assert found == [image in images] * 2
    said: dict[str, list[dict[str, str]]] = {image: [{"by": version}] for image in images}
    assert cosign.statements_of([*images, lacks], EVIDENCE, trust) == {**said, lacks: []}
    # Each by itself would be asked by this.
    monkeypatch.delattr(Cosign, "statements")
    assert cosign.statements_of(images, EVIDENCE, trust) == said


@pytest.mark.parametrize("version", BOTH)
def test_one_call_signs_several_images(site: Site, version: str) -> None:
    first, second = (site.image(f"the {number} of two by {version}") for number in "12")
    site.cosign(version).sign(first, site.signer(version), second)
    for image in (first, second):
        for reader in BOTH:
            site.cosign(reader).verify(image, site.trust(version))


@pytest.mark.parametrize(("writer", "reader"), PAIRS)
def test_a_newer_statement_replaces_the_others_and_leaves_the_rest(
    site: Site, writer: str, reader: str
) -> None:
    image, cosign = site.published(writer, f"attested anew by {reader}"), site.cosign(reader)
    cosign.attest(image, RELEASE, {"n": 1}, site.signer(writer))
    cosign.attest(image, EVIDENCE, {"n": 2}, site.signer(writer))
    for one in BOTH:
        said = [
            site.cosign(one).statements(image, kind, site.trust(writer))
            for kind in (EVIDENCE, RELEASE)
        ]
        assert said == [[{"n": 2}], [{"n": 1}]]


@pytest.mark.parametrize(("writer", "mover"), PAIRS)
def test_what_is_attached_goes_with_a_copy_and_a_bundle(
    site: Site, written: dict[str, str], tmp_path: Path, writer: str, mover: str
) -> None:
    image, cosign = written[writer], site.cosign(mover)
    digest = image.partition("@")[2]
    cosign.save(image, tmp_path / "layout")
    name = f"{site.registry.address}/by-{BOTH.index(mover)}/{digest[-12:]}"
    assert cosign.registry is not None
    cosign.copy(image, cosign.registry, f"{name}/copied:t")
    cosign.load(tmp_path / "layout", f"{name}/loaded:t")
    (other,) = set(BOTH) - {mover}
    check(site.cosign(other), site, writer, image, layout=tmp_path / "layout")
    for place in ("copied", "loaded"):
        check(cosign, site, writer, f"{name}/{place}@{digest}")


@pytest.mark.parametrize(("writer", "reader"), PAIRS)
def test_either_reads_the_others_signature_of_a_file(
    site: Site, tmp_path: Path, writer: str, reader: str
) -> None:
    file, cosign = tmp_path / "catalogue.json", site.cosign(reader)
    file.write_text("what is signed")
    signature = site.cosign(writer).sign_file(file, site.signer(writer))
    # Older versions of this program take nothing for a signature that brings a key.
    assert json.loads(signature).keys() == {"base64Signature"}
    (other,) = set(BOTH) - {writer}
    assert cosign.verify_file(file, signature.encode(), site.trust(writer))
    assert not cosign.verify_file(file, signature.encode(), site.trust(other))
    file.write_text("something else")
    assert not cosign.verify_file(file, signature.encode(), site.trust(writer))


def test_a_bundle_of_version_3_is_no_signature_to_either(site: Site, tmp_path: Path) -> None:
    """What one version alone can read is nothing that both could be held to."""
    new, image, layout = "the next", site.image("signed with a bundle"), tmp_path / "layout"
    words = (f"--key={site.signer(new).key}", "--use-signing-config=false", "--tlog-upload=false")
    assert site.run(new, "sign", *words, "--yes", image).returncode == 0
    site.cosign(new).save(image, layout)
    trusted = (f"--key={site.trust(new).key}", "--insecure-ignore-tlog=true")
    assert site.run(new, "verify", *trusted, image).returncode == 0
    # cosign itself counts this one whatever it is told.
    local = ("--new-bundle-format=false", "--local-image", str(layout))
    assert site.run(new, "verify", *trusted, *local).returncode == 0
    for reader in map(site.cosign, BOTH):
        for place in (None, layout):
            with pytest.raises(VerificationFailed, match="has no signature"):
                reader.verify(image, site.trust(new), layout=place)
            with pytest.raises(VerificationFailed, match="carries no statement"):
                reader.statements(image, EVIDENCE, site.trust(new), layout=place)
