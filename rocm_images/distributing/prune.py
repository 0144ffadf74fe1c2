"""Finds what nothing in a repository names any more, by the word of its signed catalogue alone.

Without a catalogue that verifies nothing may be dropped. dropping.py drops what may.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rocm_images.catalogue.owner import other_repository
from rocm_images.catalogue.schema import Catalogue
from rocm_images.catalogue.signed import TAG, Signed, verified_in
from rocm_images.distributing.prunable import (
    Ages,
    Drop,
    Kept,
    Known,
    Tags,
    decided,
    freed,
    lost,
    named,
    orphans,
    subject_of,
    unnamed,
)
from rocm_images.errors import RegistryError, VerificationFailed
from rocm_images.pool import Threads
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.published import image_at
from rocm_images.registry.trust import Trust
from rocm_images.registry.verified import check_immutable_tag, verified
from rocm_images.telling import counted

AT_ONCE = 8
_VERIFYING = 4


@dataclass(frozen=True)
class Pruning:
    """What one repository may drop, and what it may not."""

    repository: Repository
    listed: Signed
    """The catalogue there, byte for byte."""
    catalogue: Catalogue
    tags: Tags
    stay: frozenset[str]
    """The digests that no deletion may take, whatever tags somebody gave them."""
    drop: tuple[Drop, ...]
    kept: tuple[Kept, ...]
    """What nothing names, and stays all the same."""
    lost: tuple[str, ...]
    """What the catalogue's history still has of a run before, which did not end."""
    orphans: tuple[str, ...]
    """The tags of signatures and statements about images that are not there."""

    @property
    def freed(self) -> int:
        """Compressed bytes of the layers that only what is dropped has."""
        return freed(self.drop, self.tags)

    @property
    def forgets(self) -> frozenset[str]:
        """The digests that the catalogue's own history is to lose."""
        here = str(self.repository)
        own = {one.digest for one in self.catalogue.history if one.repository == here}
        return frozenset({*(one.digest for one in self.drop if one.listed), *self.lost}) & own


def looked(
    repository: Repository,
    cosign: Cosign,
    trust: Trust,
    ages: Ages,
    not_before: datetime.datetime | None = None,
    say: Callable[[str], None] = lambda text: None,
    *,
    origin: RegistryAddress | None = None,
) -> Pruning:
    """What a repository may drop; nothing is changed there.

    Args:
        repository: which.
        cosign: of its registry.
        trust: whose signatures count.
        ages: what is old enough.
        not_before: of which day its catalogue is at the earliest.
        say: is told what takes a while.
        origin: the registry that it is a mirror of; None: it is none, and its catalogue its own.

    Raises:
        RegistryError: the registry does not answer.
        VerificationFailed: it has no catalogue that is signed by those who are trusted, or one of
            another repository, or that is older than `not_before` or than what they released.
        InputError: the catalogue is of no schema that is known.
    """
    name = repository.reference(TAG)
    found = verified_in(repository, cosign, trust)
    if found is None:
        raise VerificationFailed(
            f"{name} is not there: nothing that is signed says which images have to stay, so that "
            "none is dropped; publish first"
        )
    listed, catalogue = found
    _check_whose(repository, catalogue, origin)
    updated = datetime.datetime.fromisoformat(catalogue.updated)
    if not_before and updated < not_before:
        raise VerificationFailed(
            f"{name} is of {catalogue.updated}, before {not_before.isoformat()}: somebody put an "
            "older one back, which does not know what has to stay; nothing was dropped"
        )
    names = repository.list_tags() or ()
    say(f"{repository}: looking at {counted(len(names), 'tag')}")
    tags = _tags(repository, catalogue, names)
    stay = named(catalogue, tags, ages)
    candidates = unnamed(tags, stay)
    if candidates:
        images = counted(len(candidates), "image")
        say(f"{repository}: verifying {images} that nothing names")
    with Threads(_VERIFYING) as pool:
        answers = pool.map(lambda one: _known(repository, cosign, trust, *one), candidates.items())
        known = dict(zip(candidates, answers, strict=True))
    for digest, one in known.items():
        if isinstance(one, Known) and one.was_published and one.date > updated:
            reference, date = repository.reference(digest), one.date.isoformat()
            raise VerificationFailed(
                f"{reference} was released on {date}, and {name} is of {catalogue.updated}: "
                "somebody put an older one back, or a publication stopped before its end "
                "(publish it again); nothing was dropped"
            )
    drop, kept = decided(catalogue, tags, ages, known)
    gone = lost(catalogue, tags, ages)
    gone = tuple(digest for digest in gone if repository.manifest(digest) is None)
    about = () if cosign.keeps_elsewhere else _orphans(repository, tags, gone)
    return Pruning(repository, listed, catalogue, tags, stay, tuple(drop), tuple(kept), gone, about)


def _check_whose(
    repository: Repository, catalogue: Catalogue, origin: RegistryAddress | None
) -> None:
    """Refuse a catalogue of any other repository: it does not know what has to stay in this one.

    Raises:
        VerificationFailed: it is, or nobody can tell, as it lists nothing.
    """
    name = repository.reference(TAG)
    if not catalogue.images:
        raise VerificationFailed(f"{name} lists no image: publish first; nothing was dropped")
    other = other_repository(
        catalogue, origin.named(repository.name) if origin else str(repository)
    )
    if other is None:
        return
    if origin:
        raise VerificationFailed(
            f"{name} is that of {other}, and --origin says {origin}: somebody put it here, or this "
            "is no mirror of that; nothing was dropped"
        )
    raise VerificationFailed(
        f"{name} is that of {other}: somebody put it here; nothing was dropped. Only if you know "
        "this repository as a mirror of that one, name its registry with --origin"
    )


def _tags(repository: Repository, catalogue: Catalogue, names: Sequence[str]) -> Tags:
    with Threads(AT_ONCE) as pool:
        manifests = {
            tag: one
            for tag, one in zip(names, pool.map(repository.manifest, names), strict=True)
            if one is not None
        }
        there = {one.digest for one in manifests.values()}
        listed = {one.digest for one in (*catalogue.images, *catalogue.history)} - there
        untagged = [one for one in pool.map(repository.manifest, sorted(listed)) if one]
    return Tags(manifests, tuple(untagged))


def _known(
    repository: Repository, cosign: Cosign, trust: Trust, digest: str, names: Sequence[str]
) -> Known | str:
    """What is signed of an image, or why that is not known."""
    try:
        image = image_at(repository, digest)
        if image is None:
            return "it is not there any more"
        found = verified(cosign, image, trust)
        for tag in names:
            check_immutable_tag(image, tag)
    except (VerificationFailed, RegistryError) as error:
        why = str(error).replace(repository.reference(digest), "it")
        return f"nothing signed says how old it is: {why}"
    latest = found.release.latest if found.release else None
    date = latest or datetime.datetime.fromisoformat(found.evidence.date)
    return Known(date, latest is not None)


def _orphans(repository: Repository, tags: Tags, gone: Sequence[str]) -> tuple[str, ...]:
    there = {one.digest for one in (*tags.manifests.values(), *tags.untagged)}
    asked = {tag: subject_of(tag) or "" for tag in orphans(tags, {*there, *gone})}
    subjects = sorted({*asked.values()})
    with Threads(AT_ONCE) as pool:
        answers = zip(subjects, pool.map(repository.manifest, subjects), strict=True)
        missing = {subject for subject, manifest in answers if manifest is None}
    return tuple(tag for tag, subject in asked.items() if subject in missing)
