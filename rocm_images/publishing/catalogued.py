"""Keeps the catalogue: what was published is added to it, what was rolled back goes back in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from rocm_images.catalogue.merge import merged, restored
from rocm_images.catalogue.owner import other_repository
from rocm_images.catalogue.schema import Catalogue, CatalogueEntry
from rocm_images.catalogue.sharing import with_sharing
from rocm_images.catalogue.signed import (
    TAG,
    Signed,
    as_in,
    put_signed,
    signed,
    signed_in,
    verified_in,
)
from rocm_images.errors import RegistryError, VerificationFailed
from rocm_images.pool import Threads
from rocm_images.publishing.entries import now
from rocm_images.registry.client import Repository
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.trust import Signer, Trust

_TRIES = 5
AT_ONCE = 8
HOW_TO_MEND = "`publish --mend-catalogue` goes on with what of it verifies, or begins it anew"


@dataclass(frozen=True)
class Keeper:
    """Who keeps the catalogue of a repository: those whose signatures count, and who signs."""

    repository: Repository
    cosign: Cosign
    trust: Trust
    signer: Signer
    server: str | None = None
    """Whose images the repository has; None where nobody said."""
    mend: bool = False
    """Go on where the catalogue there does not fit: with what of it verifies, else anew."""

    def check(
        self, published: Mapping[str, str] = MappingProxyType({}), known: Sequence[str] = ()
    ) -> Catalogue | None:
        """The catalogue there, when it fits what is there; None where there is none yet.

        Args:
            published: what is about to be published: the digest of each rolling tag. An earlier run
                may have moved these, and then failed.
            known: every rolling tag that there may be.

        Raises:
            RegistryError: the registry failed.
            VerificationFailed: the catalogue there is not signed by those who are trusted, is of
                another repository, older than the tags, or gone; unless it is to be mended.
            InputError: it cannot be read.
        """
        try:
            _, found = self._verified()
            problem = "" if self.mend else self._problem(found, published, known)
        except VerificationFailed as error:
            found, problem = None, str(error)
        if problem and not self.mend:
            raise VerificationFailed(f"{problem}; {HOW_TO_MEND}")
        return found and as_in(self.repository, found)

    def _problem(
        self, found: Catalogue | None, published: Mapping[str, str], known: Sequence[str]
    ) -> str:
        """Why the catalogue there is not the one that was written last; empty where it may be."""
        name = self.repository.reference(TAG)
        if found is None:
            tag = self._moved({tag: published.get(tag, "") for tag in known})
            return f"{name} is not there, though {tag} is: somebody removed it" if tag else ""
        if foreign := self._foreign(found):
            return foreign
        listed = {
            tag: image.digest
            for image in found.images
            for tag in image.tags
            if tag not in published
        }
        if tag := self._moved(listed):
            return (
                f"{name} says that {tag} is {listed[tag]}, and it stands for another image: "
                "somebody put an older catalogue back or moved the tag, or a publication of that "
                "image stopped before its end (publish it again)"
            )
        return ""

    def _foreign(self, found: Catalogue) -> str:
        """Why a catalogue is of a repository of this name elsewhere; empty where it is not."""
        other = other_repository(found, str(self.repository))
        name = self.repository.reference(TAG)
        return f"{name} is that of {other}: somebody put it here" if other else ""

    def _moved(self, digests: Mapping[str, str]) -> str | None:
        """A tag that stands for something else than its digest here, or None."""
        with Threads(AT_ONCE) as pool:
            found = zip(digests, pool.map(self.repository.digest_of, digests), strict=True)
            return next((tag for tag, one in found if one not in (None, digests[tag])), None)

    def _verified(self) -> tuple[Signed | None, Catalogue | None]:
        found = verified_in(self.repository, self.cosign, self.trust, self.server)
        return found or (None, None)

    def record(self, entries: Sequence[CatalogueEntry]) -> Signed:
        """Add entries to the catalogue there; writes nothing where nothing changed.

        Raises: see `_changed`.
        """

        def add(previous: Catalogue | None) -> Catalogue:
            return merged(previous, [as_known(entry, previous) for entry in entries], now())

        found = self._changed(add)
        assert found is not None
        return found

    def put_back(self, immutable_tags: Sequence[str], channel: str) -> Signed | None:
        """The catalogue after a channel's rolling tags went back to images; None without one.

        Raises: see `_changed`.
        """

        def back(previous: Catalogue | None) -> Catalogue | None:
            if previous is None:
                return None
            known = known_in(previous, channel)
            for tag in immutable_tags:
                # Of an image that was published before there was a catalogue, it knows nothing.
                if tag in known:
                    previous = restored(previous, tag, now(), channel=channel)
            return previous

        return self._changed(back)

    def forget(self, gone: Collection[str]) -> Signed | None:
        """The catalogue without the replaced images of these digests; None without one.

        Raises: see `_changed`.
        """

        def without(previous: Catalogue | None) -> Catalogue | None:
            if previous is None:
                return None
            history = tuple(one for one in previous.history if one.digest not in gone)
            if len(history) == len(previous.history):
                return previous
            images = with_sharing(previous.images, history)
            changed = {"images": tuple(images), "history": history, "updated": now()}
            return previous.model_copy(update=changed)

        return self._changed(without)

    def _to_change(self) -> tuple[Signed | None, Catalogue | None]:
        """What is there, as it is and verified; neither where it is to be mended and does not."""
        try:
            return self._verified()
        except VerificationFailed:
            if not self.mend:
                raise
            return None, None

    def _changed(self, change: Callable[[Catalogue | None], Catalogue | None]) -> Signed | None:
        """Change the catalogue, on top of what others write there at the same time.

        Raises:
            RegistryError: the registry failed, or others write without end.
            VerificationFailed: the catalogue there is not signed by those who are trusted, or is of
                another repository; unless it is to be mended.
            InputError: it cannot be read.
        """
        for _ in range(_TRIES):
            previous, there = self._to_change()
            # Since the check, which may be long ago, somebody may have put another here.
            if there and not self.mend and (foreign := self._foreign(there)):
                raise VerificationFailed(f"{foreign}; {HOW_TO_MEND}")
            # To be mended, one of this repository's mirror or origin says what of it is here.
            catalogue = change(as_in(self.repository, there) if there else None)
            if catalogue is None:
                return None
            if there and _same(catalogue, there):
                return previous
            new = signed(catalogue, self.cosign, self.signer)
            # Signing takes a while, in which somebody else may have written. A registry compares
            # nothing before it writes: what is left between these two lines is milliseconds.
            if self._to_change()[0] != previous:
                continue
            put_signed(self.repository, new)
            if signed_in(self.repository) == new:
                return new
        raise RegistryError(
            f"{self.repository}: somebody else writes the catalogue at the same time: let one of "
            "you publish again"
        )


def known_in(catalogue: Catalogue | None, channel: str) -> set[str]:
    """The immutable tags of a channel that a catalogue knows."""
    found = (*catalogue.images, *catalogue.history) if catalogue else ()
    return {one.immutable_tag for one in found if one.channel == channel}


def _same(one: Catalogue, other: Catalogue) -> bool:
    return (one.images, one.history) == (other.images, other.history)


def as_known(entry: CatalogueEntry, previous: Catalogue | None) -> CatalogueEntry:
    """The entry, with its old date where nothing but sizes differs from the one that is known.

    A size that nobody could find out this time is what the same image has elsewhere in the
    catalogue, in the channel that it was tried in, say.
    """
    images = (*previous.images, *previous.history) if previous else ()
    same = [one for one in images if one.digest == entry.digest]
    unpacked = [entry.unpacked, *(one.unpacked for one in same)]
    bases = [entry.pulls.with_base, *(one.pulls.with_base for one in same)]
    pulls = entry.pulls.model_copy(update={"with_base": _first(bases)})
    new = entry.model_copy(update={"unpacked": _first(unpacked), "pulls": pulls})
    current = previous.images if previous else ()
    known = next((one for one in current if one.key == entry.key), None)
    if known is None or _but_sizes(new) != _but_sizes(known):
        return new
    return new.model_copy(update={"published": known.published})


def _but_sizes(image: CatalogueEntry) -> dict[str, Any]:
    return image.model_dump(exclude={"layers", "shared", "pulls", "unpacked", "published"})


def _first(sizes: Iterable[int | None]) -> int | None:
    return next((size for size in sizes if size is not None), None)
