"""A registry with two published images, for those who attack it: what push rights allow there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

from conftest import Answer, Keys, run_build_py
from publishing_site import CHANNEL, QUICK, listed, publish
from registry import Registry
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.manifest import Manifest
from rocm_images.registry.trust import Signer, Trust

CELL = ("--arch", "942", "--base", "7.2.0")
OTHER = ("--arch", "942", "--base", "7.2.2")
TAG = "v0.5.21-rocm720-mi30x-rehearsal-preview"
OTHER_TAG = "v0.5.21-rocm722-mi30x-rehearsal-preview"
SHORT_TAG = "v0.5.21-mi30x-rehearsal-preview"


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
        option = "--key" if key.suffix == ".pub" else "--sign-key"
        return run_build_py(*words, option, str(key), environment=self.keys.environment)

    def pull(self, tag: str, *words: str) -> Answer:
        return self.run("pull", self.repository.reference(tag), *words)

    def verb(self, verb: str, *words: str, key: Path | None = None) -> Answer:
        where = ("--registry", self.registry.address)
        return self.run(verb, *CHANNEL, *where, *words, key=key)

    @property
    def cosign(self) -> Cosign:
        return Cosign(self.repository.address, self.keys.environment)

    @property
    def trust(self) -> Trust:
        return Trust(key=str(self.keys.our_public))

    @property
    def signer(self) -> Signer:
        return Signer(str(self.keys.ours))


def repository_of(registry: Registry) -> Repository:
    """Where the images are in a registry."""
    return Repository(RegistryAddress.parse(registry.address), "sglang-rocm", retries=QUICK)


@contextmanager
def published(registry: Registry, keys: Keys) -> Iterator[Site]:
    """Two images, published to it while it runs."""
    with registry:
        assert run_build_py("--arch", "942", "--rehearse", "--no-smoke").code == 0
        done = publish(keys, registry.address, "--arch", "942")
        assert done.code == 0, done.stderr
        tags = {image.rocm: image.immutable_tag for image in listed(keys, registry.address).images}
        yield Site(registry, repository_of(registry), tags["7.2.0"], tags["7.2.2"], keys)


@contextmanager
def as_found(site: Site, client: docker.DockerClient) -> Iterator[None]:
    """What is done with the site in the block is taken back, on the engine too."""
    names = (TAG, OTHER_TAG, SHORT_TAG, site.immutable, site.other_immutable, "catalogue")
    before = {name: site.manifest(name) for name in names}
    yield
    for name, manifest in before.items():
        site.repository.put_tag(name, manifest)
    # A pull gives the engine's image the name that it was asked for by.
    for image in client.images.list(filters={"reference": f"{site.repository}:*"}):
        for name in image.tags:
            if name.startswith(str(site.repository)):
                client.images.remove(name)
