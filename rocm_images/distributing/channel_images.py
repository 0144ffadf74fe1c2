"""The published images of a channel, once everything that is signed about them is verified."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rocm_images.engine.images import CELL
from rocm_images.errors import InputError, PublishRefused, VerificationFailed
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell
from rocm_images.publishing.gate import channel_named, refusal
from rocm_images.registry.cosign import Cosign, Trust
from rocm_images.registry.place import Place
from rocm_images.registry.published import PublishedImage, image_at
from rocm_images.registry.statements import Release
from rocm_images.registry.verified import check_immutable_tag, check_rolling_tag, verified

AT_ONCE = 4


@dataclass(frozen=True)
class ChannelImage:
    """One image of a channel, with the tags that its publisher gave it there."""

    image: PublishedImage
    release: Release
    channel: str

    @property
    def immutable(self) -> str:
        """Its immutable tag."""
        return self.release.immutable

    @property
    def rolling(self) -> tuple[str, ...]:
        """Its rolling tags in the channel."""
        return self.release.channels[self.channel].tags


def images_of_channel(
    source: Place,
    trust: Trust,
    matrix: Matrix,
    cells: Sequence[Cell],
    channel: str,
    *,
    tag_suffix: str,
) -> list[ChannelImage]:
    """What the rolling tags of a channel stand for, cell by cell.

    Raises:
        InputError: the registry lacks one.
        VerificationFailed: a signature or evidence is not what it must be, or a tag was moved.
        PublishRefused: an image's evidence is not what the channel asks for.
        RegistryError: the registry does not answer.
    """
    wanted = channel_named(matrix, channel)

    def look(cell: Cell) -> ChannelImage:
        rolling = cell.tags[0] + tag_suffix + wanted.suffix
        image = image_at(source.repository, rolling)
        if image is None:
            raise InputError(
                f"{source.repository} has no tag {rolling}: publish it there, or choose other "
                "cells with --arch and --base"
            )
        return channel_image(source.cosign, trust, matrix, [cell], image, channel, rolling=rolling)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(look, cells))


def channel_image(
    cosign: Cosign,
    trust: Trust,
    matrix: Matrix,
    cells: Sequence[Cell],
    image: PublishedImage,
    channel: str,
    *,
    rolling: str | None = None,
    layout: Path | None = None,
) -> ChannelImage:
    """An image of one of these cells that was published to a channel, everything verified.

    Args:
        cosign: it reads signatures.
        trust: whose count.
        matrix: it says what the channel asks for.
        cells: those that the image may be of.
        image: as its registry or a layout has it.
        channel: the channel.
        rolling: the tag that it was found by, where it was.
        layout: an OCI layout of it, which is then read in the place of its registry.

    Raises:
        VerificationFailed: a signature, evidence, tag or label is not what it must be.
        PublishRefused: its evidence is not what the channel asks for.
    """
    wanted = channel_named(matrix, channel)
    found = verified(cosign, image, trust, layout=layout)
    release = found.release
    if release is None or channel not in release.channels:
        raise VerificationFailed(
            f"{image.reference} was never published to the channel {channel} by {trust.words}: "
            "someone moved a tag or changed the bundle, or an older version of this program "
            "published it; publish it again"
        )
    if rolling is not None:
        check_rolling_tag(found, rolling)
    check_immutable_tag(image, release.immutable)
    cell = next((one for one in cells if one.name == image.labels.get(CELL)), None)
    if cell is None:
        names = ", ".join(one.name for one in cells)
        raise VerificationFailed(
            f"{image.reference} is an image of {release.cell}, and not of {names}: someone moved a "
            "tag or changed the bundle; do not use it"
        )
    reason = refusal(cell, image.digest, found.evidence, channel, wanted)
    if reason:
        raise PublishRefused(reason)
    return ChannelImage(image, release, channel)
