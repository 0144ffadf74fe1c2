"""What arrives in a mirror: the tags that images have at the source, and nothing that is older."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hostile_registry import Image
from made_up_catalogue import passed
from rocm_images.distributing.arrive import Arrival, Arrived, arrive
from rocm_images.distributing.channel_images import ChannelImage, Wanted, images_of_channel
from rocm_images.engine.images import BUILD_ID, CELL
from rocm_images.errors import PublishRefused, VerificationFailed
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.recipe.labels import VERSION
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.manifest import Manifest
from rocm_images.registry.place import Place
from rocm_images.registry.published import image_at
from rocm_images.registry.statements import EVIDENCE, RELEASE, InChannel, Release
from rocm_images.registry.trust import Trust
from rocm_images.sbom.document import KIND as SBOM
from rocm_images.smoke.evidence import Evidence, Level

TRUST = Trust(key="cosign.pub")
DAYS = [datetime.datetime(2026, 1, day, tzinfo=datetime.timezone.utc) for day in range(1, 10)]


@dataclass
class Registry:
    """A stand-in for a registry's repository and for the cosign that reads it."""

    name: str
    manifests: dict[str, Manifest] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    said: dict[tuple[str, str], Any] = field(default_factory=dict)
    """What is signed, by digest and kind."""

    def __str__(self) -> str:
        return self.name

    @property
    def place(self) -> Place:
        """Both of them."""
        return Place(self, self)  # type: ignore[arg-type]

    @property
    def address(self) -> RegistryAddress:
        return RegistryAddress.parse("127.0.0.1:5000")

    def reference(self, name: str) -> str:
        return f"{self.name}{'@' if ':' in name else ':'}{name}"

    def digest_of(self, tag: str) -> str | None:
        return self.tags.get(tag)

    def manifest(self, name: str) -> Manifest | None:
        return self.manifests.get(self.tags.get(name, name))

    def blob(self, digest: str) -> bytes:
        return self.blobs[digest]

    def put_tag(self, tag: str, manifest: Manifest) -> None:
        self.manifests[manifest.digest] = manifest
        self.tags[tag] = manifest.digest

    def verify(self, image: str, *_: object, **__: object) -> None:
        if (image.rpartition("@")[2], EVIDENCE) not in self.said:
            raise VerificationFailed(f"{image} has no signature")

    def statements(self, image: str, kind: str, *_: object, **__: object) -> list[Any]:
        try:
            return [self.said[image.rpartition("@")[2], kind]]
        except KeyError:
            raise VerificationFailed(f"{image} carries no statement {kind}") from None

    def copy(self, digest: str, to: Registry, tag: str) -> None:
        """As cosign copies: what is attached there is replaced."""
        to.blobs |= self.blobs
        to.put_tag(tag, self.manifests[digest])
        for kind in (EVIDENCE, RELEASE, SBOM):
            to.said.pop((digest, kind), None)
            if (digest, kind) in self.said:
                to.said[digest, kind] = self.said[digest, kind]

    def say(self, digest: str, document: Release | Evidence) -> None:
        kind = RELEASE if isinstance(document, Release) else EVIDENCE
        self.said[digest, kind] = document.document

    def list_contents(self, digest: str, of: str = "") -> None:
        """An SBOM for an image; `of` is another one that it is of."""
        component = {"type": "container", "name": "image", "version": of or digest}
        document = {"bomFormat": "CycloneDX", "specVersion": "1.6"}
        self.said[digest, SBOM] = {**document, "metadata": {"component": component}}

    def release(self, digest: str) -> Release:
        found = Release.of_document(self.said[digest, RELEASE])
        assert found is not None
        return found

    def evidence(self, digest: str) -> Evidence:
        found = Evidence.of_document(self.said[digest, EVIDENCE])
        assert found is not None
        return found


@dataclass
class World:
    """A publisher's registry, and a mirror of it."""

    matrix: Matrix
    source: Registry = field(default_factory=lambda: Registry("source/x"))
    mirror: Registry = field(default_factory=lambda: Registry("mirror/x"))
    told: list[str] = field(default_factory=list)

    def cell(self, rocm: str) -> Cell:
        (found,) = [one for one in cells_of(self.matrix) if one.name == f"sglang-942-rocm{rocm}"]
        return found

    def publish(self, rocm: str, what: str, day: int, *more: str) -> str:
        """An image of a cell that gets its own tag and more on a day; its digest."""
        cell, build_id = self.cell(rocm), what * 64
        own = cell.tags[0]
        image = Image({CELL: cell.name, BUILD_ID: build_id, VERSION: own})
        top = Manifest(image.top)
        self.source.blobs |= image.blobs
        release = Release(
            repository="x",
            cell=cell.name,
            build_id=build_id,
            immutable=f"{own}-{build_id[:12]}",
            channels={"stable": InChannel(tags=(own, *more), date=DAYS[day])},
        )
        for tag in (release.immutable, own, *more):
            self.source.put_tag(tag, top)
        self.source.say(top.digest, release)
        self.source.say(top.digest, evidence_of(cell, top.digest, day))
        return top.digest

    def wanted(self, *rocm: str, not_before: datetime.datetime | None = None) -> Wanted:
        cells = [self.cell(one) for one in rocm]
        return Wanted(TRUST, self.matrix, cells, "stable", not_before)

    def images(self, *rocm: str) -> list[ChannelImage]:
        return images_of_channel(self.source.place, self.wanted(*rocm), tag_suffix="")

    def bundled(self, *rocm: str) -> list[ChannelImage]:
        """The images as a file has them: nothing is known of tags there but what is signed."""
        wanted = self.wanted(*rocm)
        digests = [self.source.tags[self.cell(one).tags[0]] for one in rocm]
        images = [image_at(self.source, digest) for digest in digests]
        return [wanted.look(self.source, one) for one in images if one]  # type: ignore[arg-type]

    def bring(
        self, images: Sequence[ChannelImage], *, tags_were_read: bool = True, dry_run: bool = False
    ) -> Arrived:
        def put(digest: str) -> Callable[[str], None]:
            return lambda there: self.source.copy(digest, self.mirror, there.rpartition(":")[2])

        self.told.clear()
        arrivals = [Arrival(one, put(one.image.digest)) for one in images]
        rocm = [one.name.partition("rocm")[2] for one in cells_of(self.matrix) if one.arch == "942"]
        return arrive(
            self.mirror.place,
            self.wanted(*rocm),
            arrivals,
            self.told.append,
            tags_were_read=tags_were_read,
            dry_run=dry_run,
        )

    def copies(self) -> int:
        return sum(line.startswith("copy ") for line in self.told)


def evidence_of(cell: Cell, image_id: str, day: int, level: Level = Level.STATIC) -> Evidence:
    return passed(cell.name, image_id=image_id, level=level, date=DAYS[day].isoformat())


GENERIC = "v0.5.21-mi30x"
OWN = "v0.5.21-rocm722-mi30x"


@pytest.fixture
def world(project_matrix: Matrix) -> World:
    channels = {
        name: one.model_copy(update={"evidence": "static"})
        for name, one in project_matrix.channels.items()
    }
    return World(project_matrix.model_copy(update={"channels": channels}))


def passed_on(world: World) -> tuple[str, str]:
    """A tag that 7.2.4 got first and 7.2.2 got later; their digests."""
    first = world.publish("7.2.4", "4", 1, GENERIC)
    return first, world.publish("7.2.2", "2", 2, GENERIC)


@pytest.mark.parametrize("order", [("7.2.2", "7.2.4"), ("7.2.4", "7.2.2")])
def test_a_tag_goes_to_the_image_that_it_stands_for_at_the_source(
    world: World, order: tuple[str, ...]
) -> None:
    first, second = passed_on(world)
    assert [one.rolling for one in world.images("7.2.4")] == [("v0.5.21-rocm724-mi30x",)]
    world.bring(world.images(*order))
    assert world.mirror.tags[GENERIC] == second
    assert world.mirror.tags["v0.5.21-rocm724-mi30x"] == first


def test_a_mirror_of_the_image_that_lost_a_tag_does_not_take_the_tag_there(world: World) -> None:
    _, second = passed_on(world)
    world.bring(world.images("7.2.4"))
    assert GENERIC not in world.mirror.tags
    world.bring(world.images("7.2.2"))
    world.bring(world.images("7.2.4"))
    assert world.mirror.tags[GENERIC] == second


@pytest.mark.parametrize("order", [("7.2.2", "7.2.4"), ("7.2.4", "7.2.2")])
def test_of_two_images_in_a_file_the_one_that_got_a_tag_last_gets_it(
    world: World, order: tuple[str, ...]
) -> None:
    _, second = passed_on(world)
    world.bring(world.bundled(*order), tags_were_read=False)
    assert world.mirror.tags[GENERIC] == second


def test_a_file_leaves_a_tag_where_another_cell_has_it_since(world: World) -> None:
    _, second = passed_on(world)
    world.bring(world.images("7.2.2"))
    done = world.bring(world.bundled("7.2.4"), tags_were_read=False)
    assert world.mirror.tags[GENERIC] == second
    assert [move.tag for move in done.planned] == ["v0.5.21-rocm724-mi30x"]
    assert f"note: mirror/x:{GENERIC} stays where it is" in "\n".join(world.told)


def test_a_tag_that_was_moved_to_another_cell_at_the_source_is_refused(world: World) -> None:
    first, second = passed_on(world)
    world.bring(world.images("7.2.2"))
    world.source.tags[GENERIC] = first
    with pytest.raises(VerificationFailed, match="would go back in time"):
        world.bring(world.images("7.2.4"))
    assert world.mirror.tags[GENERIC] == second


@pytest.mark.parametrize("tags_were_read", [True, False])
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_tag_that_was_moved_back_is_refused_with_both_dates(
    world: World, tags_were_read: bool, dry_run: bool
) -> None:
    older = world.publish("7.2.2", "a", 1)
    newer = world.publish("7.2.2", "b", 2)
    world.bring(world.images("7.2.2"))
    world.source.tags[OWN] = older
    with pytest.raises(VerificationFailed) as refused:
        world.bring(world.images("7.2.2"), tags_were_read=tags_were_read, dry_run=dry_run)
    assert world.mirror.tags[OWN] == newer
    for word in ("2026-01-02T", "2026-01-03T", "rollback", f"--to {OWN}-aaaaaaaaaaaa"):
        assert word in str(refused.value)
    # Its publisher went back, who signs when.
    released = world.source.release(older)
    world.source.say(older, released.with_channel("stable", (OWN,), DAYS[3]))
    world.bring(world.images("7.2.2"), tags_were_read=tags_were_read)
    assert world.mirror.tags[OWN] == older


def test_a_tag_that_nobody_had_later_moves(world: World) -> None:
    older = world.publish("7.2.2", "a", 1)
    world.publish("7.2.2", "b", 1)
    world.bring(world.images("7.2.2"))
    world.source.tags[OWN] = older
    world.bring(world.images("7.2.2"))
    assert world.mirror.tags[OWN] == older


def test_newer_evidence_of_what_was_only_pushed_there_keeps_nothing_from_arriving(
    world: World,
) -> None:
    image = world.publish("7.2.2", "a", 1)
    world.source.copy(image, world.mirror, f"{OWN}-aaaaaaaaaaaa")
    del world.mirror.said[image, RELEASE]
    world.mirror.say(image, evidence_of(world.cell("7.2.2"), image, 3))
    world.bring(world.images("7.2.2"))
    assert world.mirror.tags[OWN] == image
    assert world.mirror.release(image) == world.source.release(image)


@pytest.mark.parametrize("how", ["unsigned", "of another tag"])
def test_what_does_not_verify_there_does_not_keep_a_tag(world: World, how: str) -> None:
    older = world.publish("7.2.2", "a", 1)
    newer = world.publish("7.2.2", "b", 2)
    world.bring(world.images("7.2.2"))
    if how == "unsigned":
        del world.mirror.said[newer, EVIDENCE]
    else:
        other = world.mirror.release(newer).with_channel("stable", ("other",), DAYS[2])
        world.mirror.say(newer, other)
    world.source.tags[OWN] = older
    world.bring(world.images("7.2.2"))
    assert world.mirror.tags[OWN] == older


def test_newer_evidence_reaches_a_mirror_and_older_does_not_replace_it(world: World) -> None:
    digest = world.publish("7.2.2", "2", 1)
    world.bring(world.images("7.2.2"))
    assert world.copies() == 1
    world.bring(world.images("7.2.2"))
    assert world.copies() == 0
    before = world.source.evidence(digest)
    better = evidence_of(world.cell("7.2.2"), digest, 5, Level.EMULATED)
    world.source.say(digest, better)
    world.bring(world.images("7.2.2"))
    assert (world.copies(), world.mirror.evidence(digest)) == (1, better)
    world.source.say(digest, before)
    world.bring(world.images("7.2.2"))
    assert (world.copies(), world.mirror.evidence(digest)) == (0, better)
    assert "keeps what is signed" in world.told[0]


def test_an_older_release_does_not_replace_a_newer_one(world: World) -> None:
    digest = world.publish("7.2.2", "2", 1, GENERIC)
    before = world.source.release(digest)
    world.source.say(digest, before.with_channel("stable", (OWN,), DAYS[5]))
    world.bring(world.images("7.2.2"))
    world.source.say(digest, before)
    # Somebody removed the tag as well, which is put back without what is signed.
    del world.mirror.tags[before.immutable]
    world.bring(world.images("7.2.2"))
    assert world.mirror.release(digest).latest == DAYS[5]
    assert world.mirror.tags == {before.immutable: digest, OWN: digest}


@pytest.mark.parametrize("there", ["none", "of another image"])
@pytest.mark.parametrize("bundled", [True, False])
def test_an_sbom_reaches_a_mirror_that_has_all_but_that(
    world: World, there: str, bundled: bool
) -> None:
    """It was mirrored before it had one, or somebody took it away there."""
    digest = world.publish("7.2.2", "2", 1)

    def bring() -> int:
        look = world.bundled if bundled else world.images
        world.bring(look("7.2.2"), tags_were_read=not bundled)
        return world.copies()

    assert (bring(), bring()) == (1, 0)
    world.source.list_contents(digest)
    if there != "none":
        world.mirror.list_contents(digest, of="sha256:" + "0" * 64)
    assert bring() == 1
    assert world.mirror.said[digest, SBOM] == world.source.said[digest, SBOM]
    assert bring() == 0


def test_an_sbom_that_is_taken_away_at_the_source_stays_at_a_mirror(world: World) -> None:
    digest = world.publish("7.2.2", "2", 1)
    world.source.list_contents(digest)
    world.bring(world.images("7.2.2"))
    del world.source.said[digest, SBOM]
    world.bring(world.images("7.2.2"))
    assert world.copies() == 0
    assert (digest, SBOM) in world.mirror.said


def test_what_is_newer_at_a_mirror_does_not_go_for_an_sbom(world: World) -> None:
    digest = world.publish("7.2.2", "2", 1)
    world.bring(world.images("7.2.2"))
    newer = evidence_of(world.cell("7.2.2"), digest, 5)
    world.mirror.say(digest, newer)
    world.source.list_contents(digest)
    world.bring(world.images("7.2.2"))
    assert (world.copies(), world.mirror.evidence(digest)) == (0, newer)
    assert "an SBOM is not among it" in world.told[0]


def test_an_sbom_that_does_not_arrive_moves_no_tag(world: World) -> None:
    digest = world.publish("7.2.2", "2", 1)
    world.source.list_contents(digest)
    images = world.images("7.2.2")
    del world.source.said[digest, SBOM]
    with pytest.raises(VerificationFailed, match="did not arrive as it was sent"):
        world.bring(images)
    assert OWN not in world.mirror.tags


def test_an_image_does_not_travel_with_the_sbom_of_another(world: World) -> None:
    digest = world.publish("7.2.2", "2", 1)
    world.source.list_contents(digest, of="sha256:" + "0" * 64)
    with pytest.raises(VerificationFailed, match="it is of another image"):
        world.images("7.2.2")


def test_evidence_that_falls_short_there_moves_no_tag(world: World) -> None:
    digest = world.publish("7.2.2", "2", 1)
    images = world.images("7.2.2")
    world.bring(images)
    del world.mirror.tags[OWN]
    failed = replace(evidence_of(world.cell("7.2.2"), digest, 5), passed=False)
    world.mirror.say(digest, failed)
    with pytest.raises(PublishRefused, match="failed its smoke test"):
        world.bring(images)
    assert OWN not in world.mirror.tags


def test_what_does_not_arrive_as_it_was_sent_moves_no_tag(world: World) -> None:
    digest = world.publish("7.2.2", "2", 1)
    images = world.images("7.2.2")
    world.source.say(digest, evidence_of(world.cell("7.2.2"), digest, 0))
    with pytest.raises(VerificationFailed, match="did not arrive as it was sent"):
        world.bring(images)
    assert OWN not in world.mirror.tags


def test_a_dry_run_says_what_would_move_and_puts_nothing(world: World) -> None:
    digest = world.publish("7.2.2", "2", 1, GENERIC)
    done = world.bring(world.images("7.2.2"), dry_run=True)
    assert {move.tag: move.after.digest for move in done.planned} == {OWN: digest, GENERIC: digest}
    assert done.new == (f"{OWN}-222222222222",)
    assert (world.mirror.tags, world.mirror.said) == ({}, {})


def test_an_image_that_got_its_tags_before_a_date_does_not_travel(world: World) -> None:
    world.publish("7.2.2", "2", 1)
    early, late = (world.wanted("7.2.2", not_before=DAYS[day]) for day in (1, 2))
    assert len(images_of_channel(world.source.place, early, tag_suffix="")) == 1
    with pytest.raises(VerificationFailed, match="was given that tag on 2026-01-02"):
        images_of_channel(world.source.place, late, tag_suffix="")
