"""Published images reach other registries and sites without network, with what proves them."""

from __future__ import annotations

import base64
import json
import shlex
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import trustme

from conftest import PROJECT, Answer, Keys, run_build_py
from publishing_site import CHANNEL, listed, publish
from registry import PASSWORD, Registry, credentials
from rocm_images.catalogue.verifying import sbom_commands
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.sbom.made import sbom_path

CELL = ("--arch", "950", "--base", "7.2.2")
TAGS = ["v0.5.21-rocm722-mi35x-rehearsal-preview", "v0.5.21-mi35x-rehearsal-preview"]


@pytest.fixture(scope="module")
def source(
    rehearsed: Answer,
    keys: Keys,
    registry_program: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Registry]:
    """A registry to which one cell was published."""
    with Registry(registry_program, tmp_path_factory.mktemp("source") / "registry") as registry:
        done = publish(keys, registry.address, *CELL)
        assert done.code == 0, done.stderr
        yield registry


class Guarded:
    """A registry with TLS of a private authority, and a password, which Docker's login knows."""

    def __init__(self, program: Path, folder: Path) -> None:
        authority = trustme.CA()
        self.ca_bundle = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.ca_bundle))
        self.registry = Registry(program, folder / "guarded", password=True, authority=authority)
        self.registry.start()
        configuration = folder / "docker"
        configuration.mkdir()
        logins = {"auths": {self.registry.address: {"auth": credentials()}}}
        (configuration / "config.json").write_text(json.dumps(logins))
        self.environment = {"DOCKER_CONFIG": str(configuration)}
        self.address = f"https://{self.registry.address}/team"
        self.options = ("--ca-bundle", str(self.ca_bundle))


@pytest.fixture
def guarded(registry_program: Path, tmp_path: Path) -> Iterator[Guarded]:
    started = Guarded(registry_program, tmp_path)
    yield started
    started.registry.stop()


def digests(registry: Registry) -> set[str | None]:
    repository = Repository(RegistryAddress.parse(registry.address), "sglang-rocm")
    return {repository.digest_of(tag) for tag in TAGS}


def sbom_here(image_id: str) -> Any:
    """What this checkout's own run says that an image holds."""
    return json.loads(sbom_path(PROJECT / "build" / "evidence", image_id).read_text())


def test_a_mirror_has_the_images_with_their_signatures_and_evidence(
    source: Registry, guarded: Guarded, keys: Keys, client: docker.DockerClient
) -> None:
    environment = {**keys.environment, **guarded.environment}
    words = ("mirror", *CHANNEL, *CELL, "--registry", source.address, "--to", guarded.address)
    trust = ("--key", str(keys.our_public), *guarded.options)
    mirrored = run_build_py(*words, *trust, environment=environment)
    assert mirrored.code == 0, mirrored.stderr
    assert ": 1 of 1 image\n" in mirrored.stdout
    assert ": 0 of 1 image\n" in run_build_py(*words, *trust, environment=environment).stdout

    image = f"{guarded.address}/sglang-rocm:{TAGS[1]}"
    pulled = run_build_py("pull", image, *trust, environment=environment)
    assert pulled.code == 0, pulled.stderr
    (digest,) = digests(source)
    assert pulled.stdout.strip() == f"{guarded.registry.address}/team/sglang-rocm@{digest}"
    # And what it holds, as its publisher attested it.
    there = run_build_py("sbom", image, *trust, environment=environment)
    assert there.code == 0, there.stderr
    assert json.loads(there.stdout) == sbom_here(f"{digest}")
    client.images.remove(image.removeprefix("https://"))
    for text in (mirrored.stdout, mirrored.stderr, pulled.stdout, pulled.stderr):
        assert PASSWORD not in text
        assert credentials() not in text


def test_what_an_image_holds_is_verified_and_read_as_the_page_says(
    source: Registry, keys: Keys, tmp_path: Path
) -> None:
    (digest,) = digests(source)
    ours, cosign = sbom_commands(f"{source.address}/sglang-rocm@{digest}")
    (tmp_path / "cosign.pub").write_bytes(keys.our_public.read_bytes())
    verified, read = cosign.split(" |\n")
    done = subprocess.run(
        shlex.split(verified),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**keys.environment},
        check=True,
    )
    assert read.startswith("jq -r .payload | base64 -d | jq .predicate > ")
    statement = json.loads(base64.b64decode(json.loads(done.stdout)["payload"]))
    assert statement["predicate"] == sbom_here(f"{digest}")

    path = tmp_path / "sbom.cdx.json"
    files = {"cosign.pub": str(keys.our_public), "sbom.cdx.json": str(path)}
    words = [files.get(word, word) for word in shlex.split(ours)[1:]]
    given = run_build_py(*words, environment=keys.environment)
    assert given.code == 0, given.stderr
    # Whoever has the image on an engine has the same bytes.
    assert path.read_bytes() == sbom_path(PROJECT / "build" / "evidence", f"{digest}").read_bytes()
    spdx = run_build_py(*words[:-2], "--as", "spdx-json", environment=keys.environment)
    assert spdx.code == 0, spdx.stderr
    names = {one["name"] for one in json.loads(spdx.stdout)["packages"]}
    assert {one["name"] for one in statement["predicate"]["components"]} <= names | {"debian"}

    words[words.index(str(keys.our_public))] = str(keys.others_public)
    refused = run_build_py(*words, environment=keys.environment)
    assert (refused.code, "is signed, but not by" in refused.stderr) == (10, True), refused.stderr


def test_a_mirror_of_stand_ins_stays_on_this_machine(source: Registry, keys: Keys) -> None:
    refused = run_build_py(
        *("mirror", *CHANNEL, *CELL, "--registry", source.address, "--to", "registry.invalid"),
        *("--key", str(keys.our_public)),
        environment=keys.environment,
    )
    assert (refused.code, "is a rehearsal" in refused.stderr) == (8, True), refused.stderr


def test_publishing_needs_the_authority_and_the_password_and_shows_neither(
    rehearsed: Answer, guarded: Guarded, keys: Keys
) -> None:
    signed = ("--registry", guarded.address, "--sign-key", str(keys.ours))
    words = ("publish", *CHANNEL, *CELL, *signed)
    environment = {**keys.environment, **guarded.environment}
    stranger = run_build_py(*words, environment=environment)
    assert (stranger.code, "its certificate cannot be verified" in stranger.stderr) == (9, True)
    nobody = run_build_py(*words, *guarded.options, environment=keys.environment)
    assert (nobody.code, "`docker login 127.0.0.1" in nobody.stderr) == (9, True), nobody.stderr
    plain = f"http://{guarded.registry.address}"
    spoken = run_build_py(*("plan", "--registry", plain, "--arch", "942"), environment=environment)
    assert spoken.code == 9
    published = run_build_py(*words, *guarded.options, environment=environment)
    assert published.code == 0, published.stderr
    for answer in (stranger, nobody, published):
        assert PASSWORD not in answer.stdout + answer.stderr
        assert credentials() not in answer.stdout + answer.stderr


@pytest.fixture(scope="module")
def bundled(source: Registry, keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "site.tar"
    done = run_build_py(
        *("bundle", *CHANNEL, *CELL, "--registry", source.address, "--output", str(path)),
        *("--key", str(keys.our_public)),
        environment=keys.environment,
    )
    assert done.code == 0, done.stderr
    assert [entry.name for entry in path.parent.iterdir()] == ["site.tar"]
    return path


def load(path: Path, registry: Registry, keys: Keys, key: Path | None = None) -> Answer:
    return run_build_py(
        *("publish", "--from", str(path), "--registry", registry.address, "--rehearse"),
        *("--key", str(key or keys.our_public)),
        environment=keys.environment,
    )


def test_a_bundle_brings_everything_to_a_registry_that_had_nothing(
    source: Registry, bundled: Path, keys: Keys, registry: Registry
) -> None:
    with tarfile.open(bundled) as archive:
        names = archive.getnames()
    blobs = [name for name in names if name.startswith("blobs/")]
    assert len(blobs) == len(set(blobs))
    assert {"bundle.json", "index.json", "oci-layout", "catalogue.sig.json"} <= set(names)

    loaded = load(bundled, registry, keys)
    assert loaded.code == 0, loaded.stderr
    assert digests(registry) == digests(source)
    repository = Repository(RegistryAddress.parse(registry.address), "sglang-rocm")
    catalogue = listed(keys, registry.address)
    assert {image.reference for image in catalogue.images} == {
        repository.reference(digest) for digest in digests(source) if digest
    }
    for image in catalogue.images:
        words = ("sbom", image.reference, "--key", str(keys.our_public))
        there = run_build_py(*words, environment=keys.environment)
        assert there.code == 0, there.stderr
        assert json.loads(there.stdout) == sbom_here(image.digest)
    again = load(bundled, registry, keys)
    assert (again.code, ": 0 of 1 image\n" in again.stdout) == (0, True), again.stderr
    assert [path.name for path in bundled.parent.iterdir()] == ["site.tar"]


def test_a_bundle_signed_by_somebody_else_is_refused_before_anything_is_sent(
    bundled: Path, keys: Keys, registry: Registry
) -> None:
    refused = load(bundled, registry, keys, keys.others_public)
    assert (refused.code, "is signed, but not by" in refused.stderr) == (10, True), refused.stderr
    assert registry.uploads() == []


def test_a_damaged_bundle_is_refused(
    bundled: Path, keys: Keys, registry: Registry, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.tar"
    content = bytearray(bundled.read_bytes())
    damaged.write_bytes(content[: len(content) // 2])
    short = load(damaged, registry, keys)
    assert (short.code, "is no whole bundle" in short.stderr) == (2, True), short.stderr
    with tarfile.open(bundled) as archive:
        blob = max(archive.getmembers(), key=lambda entry: entry.size)
    content[blob.offset_data + 7] ^= 1
    damaged.write_bytes(content)
    altered = load(damaged, registry, keys)
    assert (altered.code, "altered or damaged" in altered.stderr) == (10, True), altered.stderr
    damaged.write_text("no archive")
    assert load(damaged, registry, keys).code == 2
    assert load(tmp_path / "none.tar", registry, keys).code == 2
    assert registry.uploads() == []


def test_a_bundle_that_cannot_be_written_leaves_nothing(source: Registry, keys: Keys) -> None:
    refused = run_build_py(
        *("bundle", *CHANNEL, *CELL, "--registry", source.address),
        *("--output", "/proc/site.tar", "--key", str(keys.our_public)),
        environment=keys.environment,
    )
    assert (refused.code, "/proc/site.tar: cannot write it" in refused.stderr) == (2, True)


def test_what_the_registry_lacks_is_named(keys: Keys, registry: Registry) -> None:
    refused = run_build_py(
        *("mirror", *CHANNEL, *CELL, "--registry", registry.address, "--to", registry.address),
        *("--key", str(keys.our_public)),
        environment=keys.environment,
    )
    assert (refused.code, f"has no tag {TAGS[0]}" in refused.stderr) == (2, True), refused.stderr


def test_what_the_next_cosign_publishes_this_one_takes_and_the_other_way_round(
    source: Registry, keys: Keys, registry: Registry, cosigns: dict[str, Path]
) -> None:
    path = f"{cosigns['the next'].parent}:{keys.environment['PATH']}"
    following = {**keys.environment, "PATH": path}
    where = ("--registry", registry.address, "--sign-key", str(keys.ours))
    published = run_build_py("publish", *CHANNEL, *CELL, *where, environment=following)
    assert published.code == 0, published.stderr
    assert len(listed(keys, registry.address).images) == 1
    for place, environment in ((registry, keys.environment), (source, following)):
        words = ("pull", f"{place.address}/sglang-rocm:{TAGS[0]}", "--key", str(keys.our_public))
        pulled = run_build_py(*words, environment=environment)
        assert pulled.code == 0, pulled.stderr
