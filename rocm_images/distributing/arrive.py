"""Puts images with their signatures into a registry, and moves the rolling tags last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rocm_images.distributing.channel_images import ChannelImage
from rocm_images.errors import PublishRefused, RegistryError, VerificationFailed
from rocm_images.publishing.gate import check_stand_in
from rocm_images.publishing.rolling_tags import Move, move_all, moves
from rocm_images.registry.client import Manifest
from rocm_images.registry.cosign import Trust
from rocm_images.registry.place import Place
from rocm_images.registry.published import image_at
from rocm_images.registry.verified import verified


@dataclass(frozen=True)
class Arrival:
    """One image on its way, verified where it comes from."""

    what: ChannelImage
    put: Callable[[str], None]
    """Puts the image, with everything attached to it, at a reference in the target registry."""


@dataclass(frozen=True)
class Arrived:
    """What was done: the immutable tags that were new there, and every rolling tag."""

    new: tuple[str, ...]
    planned: tuple[Move, ...]


def arrive(
    place: Place, trust: Trust, images: Sequence[Arrival], on_step: Callable[[str], None]
) -> Arrived:
    """Put what the target lacks, verify all of it there, then move the rolling tags.

    Raises:
        PublishRefused: an immutable tag is taken, or a stand-in would leave this machine.
        VerificationFailed: an image that arrived does not verify; no rolling tag was moved.
        RegistryError: the registry failed; running it again resumes.
    """
    repository, new = place.repository, []
    for one in images:
        check_stand_in(one.what.immutable, one.what.image.labels, place.address, None)
    for one in images:
        tag = one.what.immutable
        there = repository.digest_of(tag)
        if there not in (None, one.what.image.digest):
            raise PublishRefused(
                f"{repository.reference(tag)} is {there} and not {one.what.image.digest}: an "
                "immutable tag is never overwritten; find out who published it there"
            )
        if there is None or not _says_the_same(place, trust, one.what):
            on_step(f"copy {tag}")
            one.put(repository.reference(tag))
        if there is None:
            new.append(tag)
    wanted: dict[str, Manifest] = {}
    for one in images:
        tag = one.what.immutable
        on_step(f"verify {tag}")
        found = image_at(repository, tag)
        if found is None or found.digest != one.what.image.digest:
            raise RegistryError(
                f"{repository.reference(tag)} did not arrive as {one.what.image.digest}: run this "
                "again"
            )
        if verified(place.cosign, found, trust).release != one.what.release:
            raise VerificationFailed(
                f"{found.reference}: what its publisher says of it did not arrive as it was sent: "
                "somebody else writes there; no rolling tag was moved"
            )
        wanted |= dict.fromkeys(one.what.rolling, found.top)
    planned = moves(repository, wanted)
    move_all(repository, planned)
    return Arrived(tuple(new), tuple(planned))


def _says_the_same(place: Place, trust: Trust, what: ChannelImage) -> bool:
    """Whether what is attached to an image there is what is attached to it here: its release."""
    found = image_at(place.repository, what.image.digest)
    try:
        return found is not None and verified(place.cosign, found, trust).release == what.release
    except VerificationFailed:
        return False
