"""After a prune of a real registry, what rollbacks, mirrors and rolling tags need is all there.

The images are made up, so that no engine is asked for them; cosign signed them.
"""

from __future__ import annotations

import datetime

import pytest

from conftest import PROJECT, Keys
from made_up_catalogue import digest, entry, passed
from registry import Registry
from rocm_images.distributing.channel_images import Wanted, images_of_channel
from rocm_images.distributing.dropping import drop_all
from rocm_images.distributing.prunable import Ages
from rocm_images.distributing.prune import looked
from rocm_images.engine.images import BUILD_ID, CELL
from rocm_images.errors import RegistryError
from rocm_images.matrix.schema import Channel
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load
from rocm_images.publishing.catalogued import Keeper
from rocm_images.publishing.rollback import images_to_go_back_to
from rocm_images.recipe.labels import VERSION
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.manifest import digest_of
from rocm_images.registry.place import Place
from rocm_images.registry.published import image_at
from rocm_images.registry.retries import Retries
from rocm_images.registry.statements import EVIDENCE, RELEASE, Release
from rocm_images.registry.trust import Signer, Trust

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
CHANNEL = "trial"


def ago(days: int) -> datetime.datetime:
    return NOW - datetime.timedelta(days=days)


class Site:
    """A publisher of one cell's images to a real registry."""

    def __init__(self, registry: Registry, keys: Keys) -> None:
        self.registry = registry
        address = RegistryAddress.parse(registry.address)
        matrix = load(PROJECT / "matrix.yaml")
        channel = Channel(evidence="static", why="this test")
        self.matrix = matrix.model_copy(update={"channels": {CHANNEL: channel}})
        self.cell = cells_of(self.matrix)[0]
        retries = Retries(2, 0.01, 0.02)
        self.repository = Repository(address, self.cell.repository, retries=retries)
        self.cosign = Cosign(address, keys.environment)
        self.place = Place(self.repository, self.cosign)
        self.signer = Signer(str(keys.ours))
        self.trust = Trust(key=str(keys.our_public))
        self.keeper = Keeper(self.repository, self.cosign, self.trust, self.signer)

    def immutable(self, build: str) -> str:
        return f"{self.cell.tags[0]}-{digest(build)[7:19]}"

    def push(self, build: str, days: int) -> str:
        labels = {
            BUILD_ID: digest(build).removeprefix("sha256:"),
            CELL: self.cell.name,
            VERSION: self.cell.tags[0],
        }
        tag = self.immutable(build)
        image = self.registry.push(self.repository.name, tag, {"of": build}, labels)
        name = self.repository.reference(image)
        tested = passed(self.cell.name, image_id=image, date=ago(days).isoformat())
        self.cosign.sign(name, self.signer)
        self.cosign.attest(name, EVIDENCE, tested.document, self.signer)
        return image

    def publish(self, build: str, days: int) -> str:
        image = self.push(build, days)
        released = Release(
            repository=self.repository.name,
            cell=self.cell.name,
            build_id=digest(build).removeprefix("sha256:"),
            immutable=self.immutable(build),
            channels={},
        ).with_channel(CHANNEL, self.cell.tags, ago(days))
        name = self.repository.reference(image)
        self.cosign.attest(name, RELEASE, released.document, self.signer)
        found = image_at(self.repository, image)
        assert found is not None
        for tag in self.cell.tags:
            self.repository.put_tag(tag, found.top)
        one = entry(
            self.cell,
            repository=str(self.repository),
            immutable_tag=self.immutable(build),
            digest=image,
            manifest=found.manifest,
            build_id=digest(build).removeprefix("sha256:"),
            channel=CHANNEL,
            published=ago(days).isoformat(),
        )
        self.keeper.record([one])
        return image

    def prune(self, *, with_orphans: bool = False) -> list[str]:
        """Drop what may go; returns the immutable tags that went."""
        ages = Ages(NOW, datetime.timedelta(days=90), keep_history=1)
        what = looked(self.repository, self.cosign, self.trust, ages, ago(1))
        drop_all(what, self.keeper, print, with_orphans=with_orphans)
        return [tag for one in what.drop for tag in one.tags]

    def attached(self, image: str) -> list[bool]:
        """Whether its signature is there, and its statements."""
        name = image.replace(":", "-")
        return [self.repository.digest_of(f"{name}.{end}") is not None for end in ("sig", "att")]

    def check_usable(self, tag: str) -> None:
        """Everything of an image can be fetched, and it is what its publisher released."""
        images_to_go_back_to(
            self.place, self.trust, self.matrix, [self.cell], CHANNEL, [tag], signs=False
        )
        image = image_at(self.repository, tag)
        assert image is not None
        for layer in image.manifest["layers"]:
            assert digest_of(self.repository.blob(layer["digest"])) == layer["digest"]


@pytest.fixture
def site(registry: Registry, keys: Keys) -> Site:
    return Site(registry, keys)


def test_what_is_needed_can_be_fetched_and_verifies_after_a_prune(site: Site) -> None:
    published = [site.publish(str(number), 400 - number) for number in range(3)]
    pushed, young = site.push("pushed", 200), site.push("young", 2)
    # Somebody without a key hopes that the current image goes with one that does.
    current = image_at(site.repository, published[2])
    assert current is not None
    for tag in (f"{pushed.replace(':', '-')}.sbom", f"{site.cell.tags[0]}-{'a' * 12}"):
        site.repository.put_tag(tag, current.top)

    # Its operator allows no deletion at first, and then the same goes on.
    site.registry.stop()
    site.registry.start(deletes=False)
    with pytest.raises(RegistryError, match=r"allows no deletion.*dropped: 0 of 2 images"):
        site.prune()
    assert site.repository.digest_of(site.immutable("0")) == published[0]
    site.registry.stop()
    site.registry.start()

    assert site.prune() == [site.immutable("0"), site.immutable("pushed")]
    for gone in (published[0], pushed):
        assert site.repository.manifest(gone) is None
        assert site.attached(gone) == [False, False]
    for here in (*published[1:], young):
        assert site.attached(here) == [True, True]
    # A mirror takes what the channel's rolling tags stand for, a rollback what was there before.
    wanted = Wanted(site.trust, site.matrix, [site.cell], CHANNEL)
    (found,) = images_of_channel(site.place, wanted, tag_suffix="")
    assert found.image.digest == published[2]
    for build in ("1", "2"):
        site.check_usable(site.immutable(build))
    listed = site.keeper.check()
    assert listed is not None
    assert [one.digest for one in (*listed.images, *listed.history)] == published[:0:-1]
    assert site.prune() == []
