"""Puts images with their signatures into a registry, and moves the rolling tags last."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rocm_images.errors import PublishRefused, RegistryError
from rocm_images.publishing.candidates import verified_evidence
from rocm_images.publishing.gate import check_stand_in
from rocm_images.publishing.rolling_tags import Move, move_all, moves
from rocm_images.publishing.target import Target
from rocm_images.registry.client import Manifest
from rocm_images.registry.cosign import Trust
from rocm_images.registry.published import PublishedImage, check_label, image_at


@dataclass(frozen=True)
class Arrival:
    """One image on its way."""

    image: PublishedImage
    immutable: str
    rolling: tuple[str, ...]
    put: Callable[[str], None]
    """Puts the image, with everything attached to it, at a reference in the target registry."""


@dataclass(frozen=True)
class Arrived:
    """What was done: the immutable tags that were new there, and every rolling tag."""

    new: tuple[str, ...]
    planned: tuple[Move, ...]


def arrive(
    target: Target, trust: Trust, images: Sequence[Arrival], on_step: Callable[[str], None]
) -> Arrived:
    """Put what the target lacks, verify all of it there, then move the rolling tags.

    Raises:
        PublishRefused: an immutable tag is taken, or a stand-in would leave this machine.
        VerificationFailed: an image that arrived does not verify; no rolling tag was moved.
        RegistryError: the registry failed; running it again resumes.
    """
    repository, new = target.repository, []
    for one in images:
        check_stand_in(one.immutable, one.image.labels, target.address, None)
    for one in images:
        there = repository.digest_of(one.immutable)
        if there not in (None, one.image.digest):
            raise PublishRefused(
                f"{repository.reference(one.immutable)} is {there} and not {one.image.digest}: an "
                "immutable tag is never overwritten; find out who published it there"
            )
        if there is None:
            on_step(f"copy {one.immutable}")
            one.put(repository.reference(one.immutable))
            new.append(one.immutable)
    wanted: dict[str, Manifest] = {}
    for one in images:
        on_step(f"verify {one.immutable}")
        found = image_at(repository, one.immutable)
        if found is None or found.digest != one.image.digest:
            raise RegistryError(
                f"{repository.reference(one.immutable)} did not arrive as {one.image.digest}: run "
                "this again"
            )
        check_label(found, one.immutable)
        verified_evidence(target.cosign, found, trust)
        wanted |= dict.fromkeys(one.rolling, found.top)
    planned = moves(repository, wanted)
    move_all(repository, planned)
    return Arrived(tuple(new), tuple(planned))
