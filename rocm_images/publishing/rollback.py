"""Finds which rolling tags go back to which earlier image, and verifies that image first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rocm_images.engine.images import BUILD_ID, CELL
from rocm_images.errors import InputError, PublishRefused, VerificationFailed
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell
from rocm_images.plan.selection import cell_named
from rocm_images.publishing.attesting import Attesting
from rocm_images.publishing.gate import channel_named, refusal
from rocm_images.publishing.rolling_tags import Move, moves
from rocm_images.recipe.build_id import SHORT
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.manifest import Manifest
from rocm_images.registry.place import Place
from rocm_images.registry.published import image_at
from rocm_images.registry.statements import RELEASE, Release
from rocm_images.registry.trust import Signer, Trust
from rocm_images.registry.verified import check_immutable_tag, verified


@dataclass(frozen=True)
class Back:
    """One image that gets its rolling tags back."""

    reference: str
    """By digest."""
    release: Release
    tags: tuple[str, ...]


def images_to_go_back_to(
    place: Place,
    trust: Trust,
    matrix: Matrix,
    cells: Sequence[Cell],
    channel: str,
    immutable_tags: Sequence[str],
    *,
    signs: bool,
) -> tuple[list[Back], list[Move]]:
    """The images, verified, and the moves that bring their rolling tags back; nothing is moved yet.

    Their tests may be older than these: that their publisher released them is what counts. One that
    an older version of this program published has no release; who `signs` gives it its first.

    Raises:
        InputError: the registry has no such tag, or two tags are of one cell.
        PublishRefused: the evidence of an image is not what the channel asks for.
        VerificationFailed: an image does not verify, or was never published to the channel.
        RegistryError: the registry does not answer.
    """
    wanted = channel_named(matrix, channel)
    found: list[Back] = []
    manifests: dict[str, Manifest] = {}
    for tag in immutable_tags:
        image = image_at(place.repository, tag)
        if image is None:
            raise InputError(
                f"{place.repository} has no tag {tag!r}: name an immutable tag, which ends in 12 "
                "hex digits"
            )
        known = verified(place.cosign, image, trust)
        check_immutable_tag(image, tag)
        release = known.release
        if release is None and signs:
            own = tag.removesuffix(f"-{image.labels[BUILD_ID][:SHORT]}") + wanted.suffix
            release = Release(
                repository=place.repository.name,
                cell=image.labels[CELL],
                build_id=image.labels[BUILD_ID],
                immutable=tag,
                channels={},
            ).given_now(channel, [own])
        if release is None or channel not in release.channels:
            raise VerificationFailed(
                f"{image.reference} was never published to the channel {channel}: publish it, or, "
                "where an older version of this program published it, roll back with the private "
                "key"
            )
        cell = cell_named(cells, image.labels.get(CELL, ""))
        reason = refusal(cell, image.digest, known.evidence, channel, wanted)
        if reason:
            raise PublishRefused(reason)
        tags = tags_to_move(release.channels[channel].tags, cell, wanted.suffix)
        for rolling in tags:
            if rolling in manifests:
                raise InputError(f"two of the tags that --to names would move {rolling}: name one")
            manifests[rolling] = image.top
        found.append(Back(image.reference, release, tags))
    return found, moves(place.repository, manifests)


def release_anew(
    cosign: Cosign,
    trust: Trust,
    signer: Signer,
    channel: str,
    back: Sequence[Back],
    planned: Sequence[Move],
) -> None:
    """Sign that the images get their tags now: a date that nobody without the key can give them.

    Raises:
        RegistryError: a statement cannot be stored.
    """
    moving = {move.tag for move in planned if move.is_needed}
    wanted = {
        one.reference: {RELEASE: one.release.given_now(channel, one.tags).document}
        for one in back
        if not moving.isdisjoint(one.tags)
    }
    Attesting(cosign, trust, signer).attest(wanted, {})


def tags_to_move(given: Sequence[str], cell: Cell, suffix: str) -> tuple[str, ...]:
    """Those of the tags that its publisher gave an image that are still the cell's.

    An image of a release that the matrix no longer builds keeps only its own, most specific one:
    the others belong to the release that is built now.
    """
    own, *others = given
    if not own.startswith(cell.tags[0]):
        return (own,)
    middle = own.removeprefix(cell.tags[0]).removesuffix(suffix)
    known = {tag + middle + suffix for tag in cell.tags}
    return (own, *(tag for tag in others if tag in known))
