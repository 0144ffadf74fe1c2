"""What does not verify is not pulled: each kind of tampering has its own sentence."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import docker
import pytest

from conftest import PROJECT, Answer, Keys, is_on, run_build_py
from made_up_programs import PATIENCE
from publishing_site import publish
from registry import Registry
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.published import image_at
from rocm_images.registry.statements import EVIDENCE
from rocm_images.smoke.evidence import Evidence

CELL = "sglang-942-rocm7.2.0"
TAG = "v0.5.21-rocm720-mi30x-rehearsal-preview"


@dataclass(frozen=True)
class Published:
    """One image in a registry that the tests of this module share."""

    registry: Registry
    repository: Repository
    digest: str

    @property
    def by_tag(self) -> str:
        return self.repository.reference(TAG)


@pytest.fixture(scope="module")
def published(
    rehearsed: Answer,
    keys: Keys,
    registry_program: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Published]:
    with Registry(registry_program, tmp_path_factory.mktemp("shared") / "registry") as registry:
        done = publish(keys, registry.address, "--arch", "942", "--base", "7.2.0")
        assert done.code == 0, done.stderr
        repository = Repository(RegistryAddress.parse(registry.address), "sglang-rocm")
        digest = repository.digest_of(TAG)
        assert digest is not None
        yield Published(registry, repository, digest)


def pull(reference: str, keys: Keys, *words: str, key: Path | None = None) -> Answer:
    return run_build_py(
        *("pull", reference, "--key", str(key or keys.our_public), *words),
        environment=keys.environment,
    )


def cosign(keys: Keys, *words: str) -> None:
    subprocess.run(["cosign", *words], env=dict(keys.environment), check=True, capture_output=True)


def forget(client: docker.DockerClient, digest: str) -> None:
    """Remove the image from the engine, so that a pull has to fetch it."""
    if is_on(client, digest):
        client.images.remove(digest, force=True)


def test_what_verifies_is_pulled_and_named_by_its_digest(
    published: Published, keys: Keys, client: docker.DockerClient
) -> None:
    names = client.images.get(published.digest).tags
    forget(client, published.digest)
    pulled = pull(published.by_tag, keys, "--evidence", "stand-in")
    assert pulled.code == 0, pulled.stderr
    assert pulled.stdout.strip() == published.repository.reference(published.digest)
    assert "verified: signed by" in pulled.stderr
    assert client.images.get(published.by_tag).id == published.digest
    client.images.remove(published.by_tag)
    again = pull(published.repository.reference(published.digest), keys)
    assert again.code == 0, again.stderr
    # As the other tests expect it: the removal took its own tags as well.
    for name in names:
        repository, _, tag = name.rpartition(":")
        client.images.get(published.digest).tag(repository, tag)


def test_a_signature_by_another_key_is_refused(published: Published, keys: Keys) -> None:
    refused = pull(published.by_tag, keys, key=keys.others_public)
    assert refused.code == 10
    assert "is signed, but not by the key" in refused.stderr


def test_an_image_tested_on_less_than_is_asked_for_is_refused(
    published: Published, keys: Keys
) -> None:
    refused = pull(published.by_tag, keys, "--evidence", "gpu")
    assert refused.code == 10
    assert "it was tested at level stand-in, and gpu is asked for" in refused.stderr


def test_a_missing_signature_is_refused(published: Published, keys: Keys) -> None:
    unsigned = published.registry.push("sglang-rocm", "unsigned", {"un": "signed"})
    refused = pull(published.repository.reference(unsigned), keys)
    assert refused.code == 10
    assert "has no signature" in refused.stderr


def test_a_signature_without_evidence_is_refused(published: Published, keys: Keys) -> None:
    digest = published.registry.push("sglang-rocm", "no-evidence", {"no": "evidence"})
    reference = published.repository.reference(digest)
    cosign(keys, "sign", f"--key={keys.ours}", "--tlog-upload=false", "--yes", reference)
    refused = pull(reference, keys)
    assert refused.code == 10
    assert "nothing says what it was tested on" in refused.stderr


def test_evidence_about_another_image_is_refused(
    published: Published, keys: Keys, tmp_path: Path
) -> None:
    digest = published.registry.push("sglang-rocm", "borrowed", {"borrowed": "evidence"})
    reference = published.repository.reference(digest)
    cosign(keys, "sign", f"--key={keys.ours}", "--tlog-upload=false", "--yes", reference)
    evidence = PROJECT / "build/evidence" / f"{published.digest.removeprefix('sha256:')}.json"
    words = ["attest", f"--key={keys.ours}", "--tlog-upload=false", "--yes", f"--type={EVIDENCE}"]
    cosign(keys, *words, f"--predicate={evidence}", reference)
    refused = pull(reference, keys)
    assert refused.code == 10
    assert f"its evidence is about another image, {published.digest}" in refused.stderr


def test_an_altered_manifest_is_refused(published: Published, keys: Keys) -> None:
    file = published.registry.blob(published.digest)
    content = file.read_bytes()
    try:
        file.write_bytes(content + b" ")
        # The registry notices when it is restarted, and has nothing in its memory.
        published.registry.stop()
        published.registry.start()
        refused = pull(published.repository.reference(published.digest), keys)
        assert refused.code == 9
        assert "sent a manifest of another digest" in refused.stderr
    finally:
        file.write_bytes(content)


def test_an_altered_layer_is_refused(
    published: Published, keys: Keys, client: docker.DockerClient, tmp_path: Path
) -> None:
    # An image of its own, so that no layer of it is on the engine.
    image = image_at(published.repository, published.digest)
    assert image is not None
    labels = dict(image.labels)
    digest = published.registry.push("sglang-rocm", "altered", {"of": "its own"}, labels)
    reference = published.repository.reference(digest)
    cosign(keys, "sign", f"--key={keys.ours}", "--tlog-upload=false", "--yes", reference)
    predicate = tmp_path / "evidence.json"
    tested = Evidence.read(PROJECT / "build/evidence", published.digest)
    assert tested is not None
    predicate.write_text(json.dumps(replace(tested, image_id=digest).document))
    words = ["attest", f"--key={keys.ours}", "--tlog-upload=false", "--yes", f"--type={EVIDENCE}"]
    cosign(keys, *words, f"--predicate={predicate}", reference)

    top = image_at(published.repository, digest)
    assert top is not None
    layer = published.registry.blob(top.manifest["layers"][0]["digest"])
    saved = tmp_path / "layer"
    shutil.copyfile(layer, saved)
    content = bytearray(saved.read_bytes())
    content[600] ^= 1
    layer.write_bytes(content)
    refused = pull(reference, keys)
    assert refused.code == 10
    assert "a part of it is not what its digest says" in refused.stderr
    assert not is_on(client, digest)
    # And as it was pushed it is pulled: it was the layer, and nothing else. For a moment the engine
    # takes up the bytes that it had read, which it removes after its refusal.
    shutil.copyfile(saved, layer)
    deadline = time.monotonic() + PATIENCE
    while (again := pull(reference, keys)).code == 10 and time.monotonic() < deadline:
        assert "a part of it is not what its digest says" in again.stderr
    assert again.code == 0, again.stderr
    forget(client, digest)


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        ("sglang-rocm:v1", "names no image in a registry"),
        ("127.0.0.1:1/sglang-rocm", "has neither tag nor digest"),
        ("127.0.0.1:1/a b:c", "names no image in a registry"),
    ],
)
def test_what_names_no_image_is_bad_input(reference: str, sentence: str, keys: Keys) -> None:
    refused = pull(reference, keys)
    assert (refused.code, sentence in refused.stderr) == (2, True), refused.stderr


def test_whose_signature_counts_must_be_said(published: Published) -> None:
    refused = run_build_py("pull", published.by_tag)
    assert (refused.code, "say whose signatures to trust" in refused.stderr) == (2, True)
