"""What a repository may drop: pure functions on its tags and its verified catalogue.

What may go is what the catalogue lists as replaced, and what was pushed and never published. A
registry deletes manifests by digest, and every tag of one with it. So a digest may go only where
all that stands for it may: whoever can push can make a tag stand for anything, and by that have
more kept. By taking tags and statements away they may have dropped what nothing else names and no
catalogue lists, or what the catalogue lists as replaced: never what it lists as current.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rocm_images.catalogue.schema import Catalogue, CatalogueEntry
from rocm_images.registry.manifest import Manifest
from rocm_images.registry.verified import is_immutable
from rocm_images.telling import counted

# cosign's signatures and attestations of an image by its digest, and, without an end, what version
# 3 lists of them: https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
_ATTACHMENT = re.compile(r"sha256-([0-9a-f]{64})(\.(?:sig|att|sbom))?")


@dataclass(frozen=True)
class Tags:
    """Every tag of a repository, with the manifest that it stands for."""

    manifests: Mapping[str, Manifest]
    untagged: tuple[Manifest, ...] = ()
    """Those that the catalogue lists, and no tag stands for: somebody moved it."""

    def of(self, digest: str) -> tuple[str, ...]:
        """The tags that stand for a digest."""
        found = (tag for tag, one in self.manifests.items() if one.digest == digest)
        return tuple(sorted(found))

    def attached_to(self, digest: str) -> tuple[str, ...]:
        """The tags of what cosign attached to a digest."""
        return tuple(sorted(tag for tag in self.manifests if subject_of(tag) == digest))


@dataclass(frozen=True)
class Known:
    """What is signed of an image that is in no list of what has to stay."""

    date: datetime.datetime
    """When its publisher last gave it a tag, or else when it was tested."""
    was_published: bool


@dataclass(frozen=True)
class Drop:
    """One image that may go."""

    digest: str
    tags: tuple[str, ...]
    """Its immutable tags."""
    attached: tuple[str, ...]
    """The tags of its signatures and statements, which go after it."""
    date: datetime.datetime
    why: str
    listed: bool
    """Whether the catalogue's history has it, which then loses it."""


@dataclass(frozen=True)
class Kept:
    """One image that nothing names, and that stays."""

    digest: str
    tags: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Ages:
    """What is old enough to go."""

    now: datetime.datetime
    older_than: datetime.timedelta
    keep_history: int | None
    """So many replaced images of each cell and version stay for a rollback; None: all do."""

    def old(self, date: datetime.datetime) -> bool:
        """Whether something of a date may go."""
        return self.now - date > self.older_than

    def days(self, date: datetime.datetime) -> int:
        """The whole days since a date."""
        return (self.now - date).days


def subject_of(tag: str) -> str | None:
    """The digest of the image that a tag of cosign's is about; None where it is another tag."""
    found = _ATTACHMENT.fullmatch(tag)
    return f"sha256:{found[1]}" if found else None


def replaced(catalogue: Catalogue, ages: Ages) -> dict[str, CatalogueEntry]:
    """The images of the catalogue's history that need not stay for a rollback, by their digest.

    One that is current in any channel, or among the newest of any cell and version, stays.
    """
    if ages.keep_history is None:
        return {}
    stay = {one.digest for one in catalogue.images}
    seen: dict[object, int] = {}
    for one in catalogue.history:
        seen[one.key] = seen.get(one.key, 0) + 1
        if seen[one.key] <= ages.keep_history:
            stay.add(one.digest)
    return {one.digest: one for one in catalogue.history if one.digest not in stay}


def named(catalogue: Catalogue, tags: Tags, ages: Ages) -> frozenset[str]:
    """The digests that have to stay: what is listed, what has another tag, and what they name."""
    gone = replaced(catalogue, ages)
    found = {one.digest for one in (*catalogue.images, *catalogue.history)} - gone.keys()
    for tag, manifest in tags.manifests.items():
        if not is_immutable(tag) and subject_of(tag) is None:
            found.add(manifest.digest)
    # Of an index also its images: a tag of cosign's can be made to stand for one of those.
    for manifest in (*tags.manifests.values(), *tags.untagged):
        if manifest.digest in found:
            found |= parts_of(manifest)
    return frozenset(found)


def parts_of(manifest: Manifest) -> set[str]:
    """The manifests that an index names."""
    return {one["digest"] for one in manifest.document.get("manifests") or ()}


def unnamed(tags: Tags, stay: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The digests that have an immutable tag, and need not stay, with their tags."""
    found = {one.digest for tag, one in tags.manifests.items() if is_immutable(tag)}
    return {digest: tags.of(digest) for digest in sorted(found - frozenset(stay))}


def decided(
    catalogue: Catalogue,
    tags: Tags,
    ages: Ages,
    known: Mapping[str, Known | str],
) -> tuple[list[Drop], list[Kept]]:
    """Which of the images that nothing names may go; the oldest first.

    Args:
        catalogue: verified.
        tags: of the repository.
        ages: what is old enough.
        known: of each unnamed digest what is signed of it, or why nothing is.
    """
    history = replaced(catalogue, ages)
    drop, keep = [], []
    for digest, names in unnamed(tags, named(catalogue, tags, ages)).items():
        what = known[digest]
        if isinstance(what, str):
            keep.append(Kept(digest, names, what))
            continue
        entry = history.get(digest)
        if entry is None and what.was_published:
            # It may be current by a catalogue that somebody replaced.
            keep.append(Kept(digest, names, "published, and in no catalogue: delete it by hand"))
            continue
        listed = [datetime.datetime.fromisoformat(entry.published)] if entry else []
        date = max([what.date, *listed])
        if not ages.old(date):
            keep.append(
                Kept(
                    digest,
                    names,
                    f"not older than {counted(ages.older_than.days, 'day')}, but {ages.days(date)}",
                )
            )
            continue
        why = "pushed, and never published"
        if entry:
            why = f"replaced in channel {entry.channel}" if entry.channel else "replaced"
        attached = tags.attached_to(digest)
        drop.append(Drop(digest, names, attached, date, why, entry is not None))
    return sorted(drop, key=lambda one: one.date), keep


def orphans(tags: Tags, there: Iterable[str]) -> tuple[str, ...]:
    """The tags of cosign's that are about none of the digests that are there."""
    known = frozenset(there)
    found = ((tag, subject_of(tag)) for tag in tags.manifests)
    return tuple(sorted(tag for tag, subject in found if subject and subject not in known))


def lost(catalogue: Catalogue, tags: Tags, ages: Ages) -> tuple[str, ...]:
    """The digests of replaced images that may go, and have no tag any more: a run before ended."""
    there = {one.digest for one in tags.manifests.values()}
    found = (
        digest
        for digest, entry in replaced(catalogue, ages).items()
        if digest not in there and ages.old(datetime.datetime.fromisoformat(entry.published))
    )
    return tuple(sorted(found))


def may_go(digest: str, going: Iterable[str], tags: Tags, stay: Iterable[str]) -> bool:
    """Whether a digest may be deleted: it need not stay, and every tag of it goes."""
    return digest not in frozenset(stay) and set(tags.of(digest)) <= set(going)


def freed(drop: Sequence[Drop], tags: Tags) -> int:
    """Compressed bytes of the layers that only what is dropped has."""
    gone = {one.digest for one in drop}
    sizes: dict[str, int] = {}
    others: set[str] = set()
    for manifest in (*tags.manifests.values(), *tags.untagged):
        for layer in manifest.document.get("layers") or ():
            if manifest.digest in gone:
                sizes[layer["digest"]] = layer["size"]
            else:
                others.add(layer["digest"])
    return sum(size for digest, size in sizes.items() if digest not in others)
