"""Keeps the catalogue: what was published is added to it, what was rolled back goes back in it."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rocm_images.catalogue.entry import entry_of
from rocm_images.catalogue.merge import merged, restored
from rocm_images.catalogue.schema import Catalogue, CatalogueEntry
from rocm_images.catalogue.signed import (
    TAG,
    Signed,
    as_in,
    catalogue_in,
    put_signed,
    signed,
    signed_in,
)
from rocm_images.engine.images import BUILD_ID
from rocm_images.errors import RegistryError, VerificationFailed
from rocm_images.publishing.transaction import Done
from rocm_images.recipe import labels
from rocm_images.registry.client import Repository
from rocm_images.registry.cosign import Cosign, Signer, Trust

_TRIES = 5


def entries_of(repository: Repository, channel: str, done: Sequence[Done]) -> list[CatalogueEntry]:
    """The entries of what was just published."""
    return [
        entry_of(
            one.candidate.cell,
            repository=str(repository),
            tags=one.candidate.rolling,
            immutable_tag=one.candidate.immutable,
            digest=one.image.digest,
            manifest=one.image.manifest,
            evidence=one.candidate.evidence,
            build_id=one.image.labels[BUILD_ID],
            channel=channel,
            published=_now(),
            stand_in=labels.STAND_IN in one.image.labels,
        )
        for one in done
    ]


@dataclass(frozen=True)
class Keeper:
    """Who keeps the catalogue of a repository: those whose signatures count, and who signs."""

    repository: Repository
    cosign: Cosign
    trust: Trust
    signer: Signer
    anew: bool = False
    """Begin it anew in place of one that does not verify."""

    def check(self) -> Catalogue | None:
        """The catalogue there, verified; None where there is none, or a new one is asked for.

        Raises:
            RegistryError: the registry failed.
            VerificationFailed: the catalogue there is not signed by those who are trusted.
            InputError: it cannot be read.
        """
        if self.anew:
            return None
        try:
            return catalogue_in(self.repository, self.cosign, self.trust)
        except VerificationFailed as error:
            raise VerificationFailed(
                f"{error}; to list what is published from now on alone, publish with "
                "--new-catalogue"
            ) from None

    def record(self, entries: Sequence[CatalogueEntry]) -> Signed:
        """Add entries to the catalogue there; writes nothing where nothing changed.

        Raises: see `_changed`.
        """

        def add(previous: Catalogue | None) -> Catalogue:
            known = {image.key: image for image in previous.images} if previous else {}
            kept = [_unless_new(entry, known.get(entry.key)) for entry in entries]
            return merged(previous, kept, _now())

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
            known = {image.immutable_tag for image in (*previous.images, *previous.history)}
            for tag in immutable_tags:
                # Of an image that was published before there was a catalogue, it knows nothing.
                if tag in known:
                    previous = restored(previous, tag, _now(), channel=channel)
            return previous

        return self._changed(back)

    def _changed(self, change: Callable[[Catalogue | None], Catalogue | None]) -> Signed | None:
        """Change the catalogue, on top of what others write there at the same time.

        Raises:
            RegistryError: the registry failed, or others write without end.
            VerificationFailed: the catalogue there is not signed by those who are trusted.
            InputError: it cannot be read.
        """
        name = self.repository.reference(TAG)
        for attempt in range(_TRIES):
            previous = None if self.anew and attempt == 0 else signed_in(self.repository)
            there = previous.verified(self.cosign, self.trust, name) if previous else None
            # One of another repository of ours, put here by somebody else, says nothing of this.
            catalogue = change(as_in(self.repository, there) if there else None)
            if catalogue is None:
                return None
            if there and _same(catalogue, there):
                return previous
            new = signed(catalogue, self.cosign, self.signer)
            put_signed(self.repository, new)
            # A registry compares nothing before it writes: who comes second writes both.
            if signed_in(self.repository) == new:
                return new
        raise RegistryError(
            f"{self.repository}: somebody else writes the catalogue at the same time: let one of "
            "you publish again"
        )


def _same(one: Catalogue, other: Catalogue) -> bool:
    return (one.images, one.history) == (other.images, other.history)


def _unless_new(entry: CatalogueEntry, known: CatalogueEntry | None) -> CatalogueEntry:
    """The entry, with its old date where only the date differs from the one that is known."""
    if known is None:
        return entry
    same = entry.model_copy(update={"published": known.published, "shared": known.shared})
    return same if same == known else entry


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
