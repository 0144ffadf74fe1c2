"""What a repository may drop, by a made-up registry, with what somebody who can push does to it.

The registry and cosign are made up; tests/pipeline/test_prune.py has real ones.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from made_up_catalogue import digest, entry, passed
from rocm_images.catalogue.file import text_of
from rocm_images.catalogue.merge import merged
from rocm_images.catalogue.schema import SCHEMA, Catalogue, CatalogueEntry
from rocm_images.catalogue.signed import KIND, SIGNATURE_KIND, TAG
from rocm_images.cli.main import main
from rocm_images.distributing.dropping import drop_all
from rocm_images.distributing.prunable import Ages
from rocm_images.distributing.prune import Pruning, looked
from rocm_images.distributing.prune_report import document, report
from rocm_images.errors import InputError, RegistryError, RegistryUnanswered, VerificationFailed
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.plan.selection import by_repository
from rocm_images.publishing.catalogued import Keeper
from rocm_images.registry import place
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.manifest import Manifest, digest_of
from rocm_images.registry.place import Place
from rocm_images.registry.statements import EVIDENCE, RELEASE, Release
from rocm_images.registry.trust import Signer, Trust

PROJECT = Path(__file__).resolve().parents[3]
TRUST = Trust(key="cosign.pub")
NOW = datetime.datetime(2026, 11, 26, tzinfo=datetime.timezone.utc)
_OCI = "application/vnd.oci.image"
INDEX = f"{_OCI}.index.v1+json"


def ago(days: int) -> datetime.datetime:
    return NOW - datetime.timedelta(days=days)


def ages(older_than: int = 90, keep_history: int | None = None) -> Ages:
    return Ages(NOW, datetime.timedelta(days=older_than), keep_history)


class Cosign:
    """A stand-in for cosign: who signed what, and what is attached to it."""

    keeps_elsewhere = False

    def __init__(self) -> None:
        self.signed: set[str] = set()
        self.attached: dict[tuple[str, str], Mapping[str, Any]] = {}

    def verify(self, image: str, *_: object, **__: object) -> None:
        if image not in self.signed:
            raise VerificationFailed(f"{image} has no signature")

    def statements(self, image: str, kind: str, *_: object, **__: object) -> list[Any]:
        if (image, kind) not in self.attached:
            raise VerificationFailed(f"{image} carries no {kind}")
        return [self.attached[image, kind]]

    def verify_file(self, content: Path, signature: bytes, _: Trust) -> bool:
        return signature.decode() == self.sign_file(content, Signer(None))

    def public_key(self, _: Signer, __: Path) -> Trust:
        return TRUST

    def sign_file(self, content: Path, _: Signer) -> str:
        return f"signed {digest_of(content.read_bytes())}"


class Site:
    """A repository in memory, with the images of one cell that were published, or only pushed."""

    ca_bundle = None
    address = "registry.example.org/made-up"

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.name = cell.repository
        self.cosign = Cosign()
        self.manifests: dict[str, Manifest] = {}
        self.tags: dict[str, str] = {}
        self.blobs: dict[str, bytes] = {}
        self.images: set[str] = set()
        self.deleted: list[str] = []
        self.asked: list[str] = []
        self.fails_at: str | None = None
        self.meanwhile: Callable[[], object] = lambda: None
        self.entries: list[CatalogueEntry] = []
        self.catalogue: Catalogue | None = None

    # What a Repository does.
    def __str__(self) -> str:
        return f"{self.address}/{self.name}"

    def reference(self, name: str) -> str:
        return f"{self}{'@' if ':' in name else ':'}{name}"

    def manifest(self, name: str) -> Manifest | None:
        self.asked.append(name)
        return self.manifests.get(name if ":" in name else self.tags.get(name, ""))

    def digest_of(self, tag: str) -> str | None:
        return self.tags.get(tag)

    def list_tags(self) -> tuple[str, ...]:
        return tuple(self.tags)

    def blob(self, name: str) -> bytes:
        return self.blobs[name]

    def put_blob(self, name: str, content: bytes) -> None:
        self.blobs[name] = content

    def put_tag(self, tag: str, manifest: Manifest) -> None:
        self.manifests[manifest.digest] = manifest
        self.tags[tag] = manifest.digest

    def delete(self, name: str) -> bool:
        """With a manifest go all of its tags, as registries do it."""
        if name == self.fails_at:
            raise RegistryError("the registry fails")
        self.tags = {tag: one for tag, one in self.tags.items() if one != name}
        self.deleted.append(name)
        self.meanwhile()
        return self.manifests.pop(name, None) is not None

    # What publishers and others do.
    def put(self, tag: str, document: Mapping[str, Any]) -> str:
        manifest = Manifest(json.dumps(document).encode())
        self.put_tag(tag, manifest)
        return manifest.digest

    def image(self, build: str, *, tagged: bool = True) -> str:
        """An image, under its immutable tag; returns its digest."""
        build_id = digest(f"build {self.cell.name} {build}").removeprefix("sha256:")
        labels = {
            "rocm-serving-images.build-id": build_id,
            "rocm-serving-images.cell": self.cell.name,
            "org.opencontainers.image.version": self.cell.tags[0],
        }
        config = json.dumps({"config": {"Labels": labels}}).encode()
        self.blobs[digest_of(config)] = config
        parts = {
            "config": {"mediaType": f"{_OCI}.config.v1+json"},
            "layer": {"mediaType": f"{_OCI}.layer.v1.tar"},
        }
        document = {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": {**parts["config"], "digest": digest_of(config), "size": len(config)},
            "layers": [{**parts["layer"], "digest": digest(build), "size": 1000}],
        }
        found = self.put(self.immutable(build), document)
        if not tagged:
            del self.tags[self.immutable(build)]
        self.images.add(found)
        return found

    def immutable(self, build: str) -> str:
        build_id = digest(f"build {self.cell.name} {build}").removeprefix("sha256:")
        return f"{self.cell.tags[0]}-{build_id[:12]}"

    def attach(self, image: str, kind: str, document: Mapping[str, Any]) -> None:
        """A signature or statement, with the tag that cosign makes."""
        if kind == "sig":
            self.cosign.signed.add(self.reference(image))
        else:
            self.cosign.attached[self.reference(image), kind] = document
        end = "sig" if kind == "sig" else "att"
        self.put(
            f"{image.replace(':', '-')}.{end}",
            {
                "schemaVersion": 2,
                "mediaType": f"{_OCI}.manifest.v1+json",
                "config": {"mediaType": f"{_OCI}.config.v1+json", "digest": image, "size": 1},
                "layers": [{"mediaType": "text/plain", "digest": digest(image + end), "size": 1}],
            },
        )

    def push(self, build: str, days: int) -> str:
        """As `push` leaves it: signed, tested so many days ago, and with no tag but its own."""
        image = self.image(build)
        self.attach(image, "sig", {})
        tested = passed(self.cell.name, image_id=image, date=ago(days).isoformat())
        self.attach(image, EVIDENCE, tested.document)
        return image

    def publish(self, build: str, days: int, *, channel: str = "preview") -> str:
        """As `publish` leaves it: released, with the rolling tags, and in the catalogue."""
        image = self.push(build, days)
        self.release(image, build, days, channel)
        for tag in self.cell.tags:
            self.tags[tag] = image
        one = entry(
            self.cell,
            build=build,
            digest=image,
            immutable_tag=self.immutable(build),
            channel=channel,
            repository=str(self),
            published=ago(days).isoformat(),
        )
        self.sign(merged(self.catalogue, [one], ago(days).isoformat()))
        return image

    def release(self, image: str, build: str, days: int, channel: str = "preview") -> None:
        build_id = digest(f"build {self.cell.name} {build}").removeprefix("sha256:")
        released = Release(
            repository=self.name,
            cell=self.cell.name,
            build_id=build_id,
            immutable=self.immutable(build),
            channels={},
        ).with_channel(channel, self.cell.tags, ago(days))
        self.attach(image, RELEASE, released.document)

    def sign(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        content = text_of(catalogue).encode()
        self.put_catalogue(content, f"signed {digest_of(content)}".encode())

    def put_catalogue(self, content: bytes, signature: bytes) -> None:
        blobs = []
        for kind, part in ((KIND, content), (SIGNATURE_KIND, signature)):
            self.blobs[digest_of(part)] = part
            blobs.append({"mediaType": kind, "digest": digest_of(part), "size": len(part)})
        config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest("{}")}
        self.put(TAG, {"schemaVersion": 2, "config": {**config, "size": 2}, "layers": blobs})

    def looked(self, asked: Ages | None = None, **more: Any) -> Pruning:
        return looked(self, self.cosign, TRUST, asked or ages(), **more)  # type: ignore[arg-type]

    @property
    def keeper(self) -> Keeper:
        return Keeper(self, self.cosign, TRUST, Signer("cosign.key"))  # type: ignore[arg-type]

    def prune(self, asked: Ages | None = None, **more: Any) -> list[str]:
        """Drop what may go; returns the digests of images that went."""
        drop_all(self.looked(asked), self.keeper, lambda _: None, **more)
        return sorted(self.images - self.manifests.keys())


@pytest.fixture
def site(project_matrix: Matrix) -> Site:
    return Site(cells_of(project_matrix)[0])


ORIGIN = RegistryAddress.parse("origin.example.org")


def of_another(catalogue: Catalogue | None, repository: str) -> Catalogue:
    """The catalogue as if another repository had the images."""
    assert catalogue is not None
    change = {"repository": repository}
    moved = {
        key: tuple(one.model_copy(update=change) for one in getattr(catalogue, key))
        for key in ("images", "history")
    }
    return catalogue.model_copy(update=moved)


def dropped(what: Pruning) -> list[str]:
    return [one.digest for one in what.drop]


def test_what_was_pushed_and_never_published_goes_when_it_is_old(site: Site) -> None:
    site.publish("current", 10)
    old, young = site.push("old", 91), site.push("young", 89)
    found = site.looked()
    assert dropped(found) == [old]
    assert [(one.digest, one.why) for one in found.kept] == [
        (young, "not older than 90 days, but 89")
    ]
    assert site.prune() == [old]


def test_of_a_registry_that_does_not_answer_only_the_command_line_says_to_run_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.publish("current", 10)
    site.push("old", 91)

    def silent(_: str) -> bool:
        raise RegistryUnanswered("no answer")

    monkeypatch.setattr(site, "delete", silent)
    with pytest.raises(RegistryUnanswered, match=r"^no answer; dropped: 0 of 1 image$"):
        site.prune()


def test_what_the_catalogue_lists_or_a_tag_names_stays_however_old_it_is(site: Site) -> None:
    first = site.publish("1", 500)
    second = site.publish("2", 400)
    tagged = site.push("tagged", 500)
    site.tags["tried-by-somebody"] = tagged
    assert (site.looked().drop, site.looked().kept) == ((), ())
    assert site.prune() == []
    assert {first, second, tagged} <= site.manifests.keys()


def test_of_replaced_images_the_newest_stay_for_a_rollback_and_the_catalogue_loses_the_others(
    site: Site,
) -> None:
    images = [site.publish(str(number), 500 - number) for number in range(5)]
    asked = ages(keep_history=2)
    # The current one, and two before it.
    assert dropped(site.looked(asked)) == images[:2]
    assert site.prune(asked) == sorted(images[:2])
    listed = site.looked(asked).catalogue
    assert {one.digest for one in (*listed.images, *listed.history)} == set(images[2:])
    assert dropped(site.looked(asked)) == []


def test_what_is_replaced_in_one_channel_and_current_in_another_stays(site: Site) -> None:
    image = site.publish("1", 500, channel="preview")
    site.publish("1", 450, channel="stable")
    for number in range(2, 6):
        site.publish(str(number), 450 - number, channel="preview")
    assert image not in dropped(site.looked(ages(keep_history=1)))


def test_an_image_goes_before_what_is_attached_to_it(site: Site) -> None:
    site.publish("current", 10)
    old = site.push("old", 100)
    names = [f"{old.replace(':', '-')}.{end}" for end in ("att", "sig")]
    attached = [site.tags[name] for name in names]
    site.prune()
    assert site.deleted == [old, *attached]


def test_a_registry_that_fails_half_way_is_gone_on_with(site: Site) -> None:
    images = [site.publish(str(number), 500 - number) for number in range(4)]
    asked = ages(keep_history=1)
    site.fails_at = site.tags[f"{images[1].replace(':', '-')}.att"]
    with pytest.raises(RegistryError, match="dropped: 1 of 2 images; run it again to go on"):
        site.prune(asked)
    # The catalogue does not recommend what is gone; what went without its statements is not lost.
    site.fails_at = None
    site.prune(asked)
    left = {tag for tag in site.tags if tag.startswith("sha256-")}
    assert {tag[7:71] for tag in left} == {one[7:] for one in images[2:]}
    listed = site.looked(asked).catalogue
    assert {one.digest for one in (*listed.images, *listed.history)} == set(images[2:])


def test_where_no_deletion_is_allowed_nothing_changes(site: Site) -> None:
    images = [site.publish(str(number), 500 - number) for number in range(4)]
    asked = ages(keep_history=1)
    before = dict(site.tags)
    site.fails_at = images[0]
    with pytest.raises(RegistryError, match="dropped: 0 of 2 images"):
        site.prune(asked)
    assert site.tags == before


def test_without_a_private_key_the_catalogues_history_stays(site: Site) -> None:
    for number in range(4):
        site.publish(str(number), 500 - number)
    pushed = site.push("old", 100)
    with pytest.raises(InputError, match="say who signs it"):
        drop_all(site.looked(ages(keep_history=1)), None, lambda _: None)
    assert site.deleted == []
    assert drop_all(site.looked(), None, lambda _: None) == 1
    assert site.deleted[0] == pushed


def test_a_mirror_drops_by_its_origins_catalogue_and_leaves_that_as_it_is(site: Site) -> None:
    images = [site.publish(str(number), 500 - number) for number in range(3)]
    pushed = site.push("pushed", 100)
    site.sign(of_another(site.catalogue, f"origin.example.org/{site.name}"))
    listed = site.tags[TAG]
    asked = ages(keep_history=1)
    assert drop_all(site.looked(asked, origin=ORIGIN), None, lambda _: None) == 2
    assert site.images - site.manifests.keys() == {images[0], pushed}
    assert site.tags[TAG] == listed


def test_signatures_about_images_that_are_gone_go_only_where_that_is_asked_for(site: Site) -> None:
    site.publish("current", 10)
    gone = site.push("gone", 100)
    # Somebody deleted the image alone.
    del site.manifests[site.tags.pop(site.immutable("gone"))]
    assert [tag[7:71] for tag in site.looked().orphans] == [gone[7:]] * 2
    site.prune()
    assert site.deleted == []
    site.prune(with_orphans=True)
    assert len(site.deleted) == 2
    assert site.looked().orphans == ()


def test_where_cosign_keeps_what_it_attaches_elsewhere_no_signature_is_an_orphan(
    site: Site,
) -> None:
    """This may be the place where those of other repositories are."""
    site.publish("current", 10)
    site.push("gone", 100)
    del site.manifests[site.tags.pop(site.immutable("gone"))]
    site.cosign.keeps_elsewhere = True
    assert site.looked().orphans == ()


def test_what_is_gone_already_is_not_called_dropped(site: Site) -> None:
    site.publish("current", 10)
    old = site.push("old", 100)
    found = site.looked()
    del site.manifests[old]
    told: list[str] = []
    drop_all(found, None, told.append)
    assert told == [f"gone already {site}: {site.immutable('old')}"]


def test_the_catalogue_keeps_what_was_lost_and_is_there_again(site: Site) -> None:
    images = [site.publish(str(number), 500 - number) for number in range(3)]
    lost = site.manifests.pop(images[0])
    del site.tags[site.immutable("0")]
    found = site.looked(ages(keep_history=1))
    assert found.lost == (images[0],)
    site.put_tag(site.immutable("0"), lost)
    drop_all(found, site.keeper, lambda _: None)
    assert images[0] in {one.digest for one in site.looked().catalogue.history}
    # And what is signed of it is there.
    assert site.deleted == []


# What somebody does who can push and has no key.


def test_without_a_catalogue_or_with_one_that_nobody_signed_nothing_is_dropped(site: Site) -> None:
    site.publish("current", 10)
    site.push("old", 100)
    assert site.catalogue is not None
    content = text_of(site.catalogue.model_copy(update={"images": ()})).encode()
    site.put_catalogue(content, b"signed by somebody else")
    with pytest.raises(VerificationFailed, match="not signed by"):
        site.looked()
    del site.tags[TAG]
    with pytest.raises(VerificationFailed, match="none is dropped"):
        site.looked()


STAGING = "staging.example.org/x/sglang-rocm"


@pytest.mark.parametrize("entries", ["all", "one of the history", "none"])
@pytest.mark.parametrize("origin", [None, ORIGIN])
@pytest.mark.parametrize("statements", ["as they are", "of before it was published"])
def test_a_newer_catalogue_of_another_registrys_repository_says_nothing_of_this_one(
    site: Site, entries: str, origin: RegistryAddress | None, statements: str
) -> None:
    """Its publisher signed it, and the names of both end alike; the tags were moved as well."""
    good = site.publish("good", 100)
    if statements != "as they are":
        del site.cosign.attached[site.reference(good), RELEASE]
    own = entry(site.cell, digest=digest("x"), repository=f"{origin or site.address}/{site.name}")
    other = entry(site.cell, digest=digest("another"), repository=STAGING)
    listed = {"all": ((other,), ()), "one of the history": ((own,), (other,)), "none": ((), ())}
    images, history = listed[entries]
    site.sign(Catalogue(schema=SCHEMA, updated=ago(1).isoformat(), images=images, history=history))
    for tag in site.cell.tags:
        site.tags[tag] = site.image("somebody's")
    said = "lists no image" if entries == "none" else "is that of staging"
    with pytest.raises(VerificationFailed, match=said):
        site.looked(not_before=ago(90), origin=origin)
    assert good in site.manifests


def test_a_mirror_that_says_whose_it_is_does_not_take_a_catalogue_of_its_own(site: Site) -> None:
    """One that published itself has signed which images have to stay, and is no mirror."""
    site.publish("good", 100)
    with pytest.raises(VerificationFailed, match="and --origin says origin"):
        site.looked(origin=ORIGIN)


@pytest.mark.parametrize("days", [1, 500])
def test_what_was_published_and_is_in_no_catalogue_stays(site: Site, days: int) -> None:
    good = site.push("good", 500)
    site.release(good, "good", days)
    site.publish("current", 0)
    found = site.looked(ages(keep_history=1), not_before=ago(1))
    assert found.drop == ()
    assert [(one.digest, one.why) for one in found.kept] == [
        (good, "published, and in no catalogue: delete it by hand")
    ]


def test_an_older_catalogue_that_somebody_put_back_is_known_by_what_was_released_since(
    site: Site,
) -> None:
    site.publish("1", 500)
    before = site.tags[TAG]
    current = site.publish("2", 400)
    site.tags[TAG] = before
    for tag in site.cell.tags:
        site.tags[tag] = site.tags[site.immutable("1")]
    with pytest.raises(VerificationFailed, match="somebody put an older one back"):
        site.looked()
    assert current in site.manifests


def test_an_older_catalogue_with_older_statements_is_known_by_the_day_that_one_published(
    site: Site,
) -> None:
    """Everything signed is put back as it was on one day: only who published knows better."""
    site.publish("1", 500)
    current = site.push("2", 450)
    before = dict(site.tags)
    attached = dict(site.cosign.attached)
    site.publish("2", 400)
    site.tags, site.cosign.attached = before, attached
    assert dropped(site.looked()) == [current]
    with pytest.raises(VerificationFailed, match="does not know what has to stay"):
        site.looked(not_before=ago(400))


NOBODYS = f"sha256-{'0' * 64}"
OLDS = "that of the image that goes"
GIVEN = (f"{OLDS}.sig", f"{OLDS}.sbom", OLDS, f"{NOBODYS}.att", NOBODYS, "immutable")


def give(site: Site, good: str, given: str, old: str) -> None:
    """Let a tag stand for an image, as if it were something that goes."""
    own = f"{site.cell.tags[0]}-{'a' * 12}"
    tag = own if given == "immutable" else given.replace(OLDS, old.replace(":", "-"))
    site.tags[tag] = good


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("with_its_own", [True, False])
def test_a_tag_that_somebody_gives_a_good_image_does_not_take_it_along(
    site: Site, given: str, with_its_own: bool
) -> None:
    good, old = site.publish("good", 500), site.push("old", 100)
    give(site, good, given, old)
    if not with_its_own:
        for tag in (*site.cell.tags, site.immutable("good")):
            site.tags[tag] = site.image("somebody's")
    site.prune(with_orphans=True)
    assert good in site.manifests
    assert old not in site.manifests


@pytest.mark.parametrize("given", GIVEN)
def test_a_tag_that_somebody_gives_what_no_catalogue_lists_does_not_take_it_along(
    site: Site, given: str
) -> None:
    """What one machine has just pushed, and another is about to publish."""
    site.publish("current", 10)
    pushed, old = site.push("pushed", 1), site.push("old", 100)
    give(site, pushed, given, old)
    site.prune(with_orphans=True)
    assert pushed in site.manifests
    assert old not in site.manifests


@pytest.mark.parametrize("given", [one for one in GIVEN if one != "immutable"])
@pytest.mark.parametrize("tagged", [True, False])
def test_a_tag_that_somebody_gives_the_image_of_a_good_index_does_not_take_it_along(
    site: Site, tagged: bool, given: str
) -> None:
    child = site.image("child", tagged=False)
    part = {"mediaType": f"{_OCI}.manifest.v1+json", "digest": child, "size": 1}
    name = site.immutable("index")
    index = site.put(name, {"schemaVersion": 2, "mediaType": INDEX, "manifests": [part]})
    one = entry(site.cell, digest=index, repository=str(site), published=ago(500).isoformat())
    site.sign(merged(None, [one], ago(5).isoformat()))
    old = site.push("old", 100)
    give(site, child, given, old)
    if not tagged:
        del site.tags[name]
    site.prune(with_orphans=True)
    assert {child, index} <= site.manifests.keys()
    assert old not in site.manifests


@pytest.mark.parametrize("what", ["unsigned", "another's tag", "no evidence"])
def test_of_what_nothing_signed_says_the_age_nothing_goes(site: Site, what: str) -> None:
    site.publish("current", 10)
    image = site.push("old", 400)
    if what == "unsigned":
        site.cosign.signed.remove(site.reference(image))
    elif what == "no evidence":
        del site.cosign.attached[site.reference(image), EVIDENCE]
    else:
        site.tags[f"{site.cell.tags[0]}-{'a' * 12}"] = image
    (stays,) = site.looked().kept
    assert stays.digest == image
    assert "nothing signed says how old it is" in stays.why
    assert site.prune() == []


def test_what_somebody_publishes_meanwhile_stops_it(site: Site) -> None:
    site.publish("current", 10)
    site.push("old", 100)
    found = site.looked()
    site.publish("newer", 1)
    with pytest.raises(RegistryError, match="its catalogue changed meanwhile"):
        drop_all(found, site.keeper, lambda _: None)
    assert site.deleted == []


@pytest.mark.parametrize("how", ["rolling", "new", "an index of it", "signed anew", "signed"])
def test_what_somebody_is_about_to_publish_meanwhile_stays(site: Site, how: str) -> None:
    """Who publishes, or goes back to it, signs and moves the tags before the catalogue knows."""
    site.publish("current", 10)
    other, old = site.push("other", 200), site.push("old", 100)

    def meanwhile() -> None:
        if how == "rolling":
            site.tags[site.cell.tags[0]] = old
        elif how == "new":
            site.tags["a-new-tag"] = old
        elif how == "an index of it":
            part = {"mediaType": f"{_OCI}.manifest.v1+json", "digest": old, "size": 1}
            site.put("an-index", {"schemaVersion": 2, "mediaType": INDEX, "manifests": [part]})
        elif how == "signed anew":
            document = site.manifests[old].document
            site.put(f"{old.replace(':', '-')}.att", {**document, "annotations": {}})
        else:
            site.put(old.replace(":", "-"), {"schemaVersion": 2, "manifests": []})

    found = site.looked()
    assert dropped(found) == [other, old]
    site.meanwhile = meanwhile
    with pytest.raises(RegistryError, match=r"somebody else publishes.*dropped: 1 of 2 images"):
        drop_all(found, site.keeper, lambda _: None)
    assert old in site.manifests
    assert other not in site.manifests


def test_no_immutable_tag_of_another_image_is_asked_for_again(site: Site) -> None:
    """There may be thousands, and each deletion asks."""
    site.publish("current", 10)
    site.push("young", 1)
    old = site.push("old", 100)
    found = site.looked()
    site.asked.clear()
    drop_all(found, site.keeper, lambda _: None)
    assert old not in site.manifests
    own = {f"{old.replace(':', '-')}.{end}" for end in ("att", "sig")}
    assert set(site.asked) == {TAG, *site.cell.tags, *own}


def test_a_signature_stays_whose_image_has_arrived_meanwhile(site: Site) -> None:
    site.publish("current", 10)
    site.push("arrives", 100)
    late = site.manifests[site.tags[site.immutable("arrives")]]
    del site.manifests[site.tags.pop(site.immutable("arrives"))]
    found = site.looked()
    assert len(found.orphans) == 2
    site.put_tag(site.immutable("arrives"), late)
    told: list[str] = []
    drop_all(found, site.keeper, told.append, with_orphans=True)
    assert site.deleted == []
    assert "is there by now: its signatures stay" in told[0]


# Several repositories at once.


@pytest.fixture
def sites(
    site: Site, project_matrix: Matrix, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> list[Site]:
    """One for each server, in the order of the matrix, where the verb finds them."""
    cells = by_repository(cells_of(project_matrix), lambda cell: cell)
    found = {name: Site(one[0]) for name, one in cells.items()}
    monkeypatch.setattr(place, "place_of", lambda name, *_: Place(found[name], found[name].cosign))
    monkeypatch.chdir(tmp_path)
    Path("cosign.key").write_text("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n")
    Path("cosign.pub").write_text("-----BEGIN PUBLIC KEY-----\n")
    assert len(found) > 1
    return [*found.values()]


def run(*words: str, sign: bool = True) -> Result:
    who = ("--sign-key", "cosign.key") if sign else ("--key", "cosign.pub")
    where = ("--matrix", str(PROJECT / "matrix.yaml"), "--registry", Site.address)
    history = ("--keep-history", "1", "--not-before", "2020-01-01")
    words = ("prune", "--server", "all", *where, *who, *history, *words)
    return CliRunner().invoke(main, words)


def filled(sites: list[Site]) -> list[set[str]]:
    """Gives each two images that may go, and returns them."""
    going = []
    for one in sites:
        replaced = one.publish("1", 500)
        one.publish("2", 499)
        one.publish("3", 498)
        going.append({replaced, one.push("pushed", 600)})
    return going


def gone(sites: list[Site]) -> list[set[str]]:
    return [one.images - one.manifests.keys() for one in sites]


def test_of_all_repositories_each_loses_its_own(sites: list[Site]) -> None:
    going = filled(sites)
    listed = run("--json")
    assert listed.exit_code == 0, listed.exception
    told = json.loads(listed.stdout)["repositories"]
    assert [one["repository"] for one in told] == [str(one) for one in sites]
    assert [{each["digest"] for each in one["drop"]} for one in told] == going
    assert gone(sites) == [set() for _ in sites]
    done = run("--yes")
    assert done.exit_code == 0, done.exception
    assert gone(sites) == going
    # Each catalogue has forgotten what it listed of that, and is of its own repository still.
    for one in sites:
        catalogue = one.looked().catalogue
        assert len((*catalogue.images, *catalogue.history)) == 2


def test_nothing_goes_from_any_where_one_has_no_catalogue_that_counts(sites: list[Site]) -> None:
    filled(sites)
    del sites[-1].tags[TAG]
    assert isinstance(run("--yes").exception, VerificationFailed)
    assert [one.deleted for one in sites] == [[] for _ in sites]


def test_nothing_goes_from_any_where_one_has_the_catalogue_of_another(sites: list[Site]) -> None:
    filled(sites)
    sites[-1].sign(of_another(sites[-1].catalogue, STAGING.replace("sglang-rocm", sites[-1].name)))
    assert isinstance(run("--yes").exception, VerificationFailed)
    assert [one.deleted for one in sites] == [[] for _ in sites]


def test_one_that_fails_ends_it_and_the_same_command_goes_on(sites: list[Site]) -> None:
    going = filled(sites)
    # The one before it, in order of age, is gone by then.
    sites[0].fails_at = sites[0].tags[sites[0].immutable("1")]
    stopped = run("--yes")
    assert isinstance(stopped.exception, RegistryError)
    assert "dropped: 1 of 2 images" in str(stopped.exception)
    assert gone(sites)[1:] == [set() for _ in sites[1:]]
    sites[0].fails_at = None
    assert run("--yes").exit_code == 0
    assert gone(sites) == going


def test_mirrors_of_all_go_by_the_catalogues_of_one_origin(sites: list[Site]) -> None:
    going = filled(sites)
    for one in sites:
        one.sign(of_another(one.catalogue, f"{ORIGIN}/{one.name}"))
    assert isinstance(run("--yes", sign=False).exception, VerificationFailed)
    with_a_key = run("--yes", "--origin", str(ORIGIN)).exception
    assert isinstance(with_a_key, InputError)
    assert "name the public key" in str(with_a_key)
    assert gone(sites) == [set() for _ in sites]
    done = run("--yes", "--origin", str(ORIGIN), sign=False)
    assert done.exit_code == 0, done.exception
    assert gone(sites) == going


def test_the_report_says_what_may_go_and_how_much_that_frees(site: Site) -> None:
    site.publish("current", 10)
    old = site.push("old", 100)
    site.push("young", 1)
    told = report(site.looked(), ages())
    assert site.immutable("old") in told
    assert re.search(r"\b100\b", told)
    assert "pushed, and never published" in told
    assert "1 image, 2 tags of their signatures and statements; 1.0 kB compressed" in told
    assert f"stays: {site.immutable('young')}" in told
    (one,) = document([site.looked()], ages())["repositories"]
    assert [each["digest"] for each in one["drop"]] == [old]
    assert (one["freed"], one["drop"][0]["days"]) == (1000, 100)
