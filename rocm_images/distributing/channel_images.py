"""The published images of a channel, once everything that is signed about them is verified."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rocm_images.engine.images import CELL
from rocm_images.errors import InputError, PublishRefused, VerificationFailed
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell
from rocm_images.pool import Threads
from rocm_images.publishing.gate import channel_named, refusal
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.place import Place
from rocm_images.registry.published import PublishedImage, image_at
from rocm_images.registry.sbom import attested_sbom
from rocm_images.registry.statements import InChannel, Release
from rocm_images.registry.trust import Trust
from rocm_images.registry.verified import (
    Verified,
    check_immutable_tag,
    check_not_before,
    check_rolling_tag,
    verified,
)

AT_ONCE = 4


@dataclass(frozen=True)
class ChannelImage:
    """One image of a channel, with the tags that its publisher gave it there."""

    found: Verified
    release: Release
    channel: str
    rolling: tuple[str, ...]
    """Its rolling tags in the channel; of a registry, those that stand for it there, as others may
    have passed on to another image since."""
    has_sbom: bool = False
    """Whether its publisher attests what it holds."""

    @property
    def image(self) -> PublishedImage:
        """The image itself."""
        return self.found.image

    @property
    def immutable(self) -> str:
        """Its immutable tag."""
        return self.release.immutable

    def given(self, tag: str) -> datetime.datetime:
        """When its publisher last gave it one of its rolling tags."""
        found = self.release.of_tag(tag)
        assert found is not None
        return found.date


@dataclass(frozen=True)
class Wanted:
    """What an image must be to travel."""

    trust: Trust
    """Whose signatures count."""
    matrix: Matrix
    """It says what the channel asks for."""
    cells: Sequence[Cell]
    """Those that it may be of."""
    channel: str
    not_before: datetime.datetime | None = None
    """When its publisher gave it its tags in the channel at the earliest."""

    def look(
        self,
        cosign: Cosign,
        image: PublishedImage,
        *,
        rolling: str | None = None,
        layout: Path | None = None,
    ) -> ChannelImage:
        """The image, as its registry or a layout has it, everything verified.

        `rolling` is the tag that it was found by, where it was; `layout` an OCI layout of it, which
        is then read in the place of its registry.

        Raises:
            VerificationFailed: a signature, evidence, tag or label is not what it must be.
            PublishRefused: its evidence is not what the channel asks for.
            RegistryError: the registry does not answer.
        """
        wanted = channel_named(self.matrix, self.channel)
        found = verified(cosign, image, self.trust, layout=layout)
        release = found.release
        if release is None or self.channel not in release.channels:
            raise VerificationFailed(
                f"{image.reference} was never published to the channel {self.channel} by "
                f"{self.trust.words}: someone moved a tag or changed the bundle, or an older "
                "version of this program published it; publish it again"
            )
        if rolling is not None:
            check_rolling_tag(found, rolling)
        check_immutable_tag(image, release.immutable)
        given: InChannel = release.channels[self.channel]
        if self.not_before:
            check_not_before(found, given, self.not_before)
        cell = next((one for one in self.cells if one.name == image.labels.get(CELL)), None)
        if cell is None:
            names = ", ".join(one.name for one in self.cells)
            raise VerificationFailed(
                f"{image.reference} is an image of {release.cell}, and not of {names}: someone "
                "moved a tag or changed the bundle; do not use it"
            )
        reason = refusal(cell, image.digest, found.evidence, self.channel, wanted)
        if reason:
            raise PublishRefused(reason)
        sbom = attested_sbom(cosign, image, self.trust, layout=layout)
        return ChannelImage(found, release, self.channel, given.tags, sbom is not None)


def images_of_channel(source: Place, wanted: Wanted, *, tag_suffix: str) -> list[ChannelImage]:
    """What the rolling tags of a channel stand for, cell by cell.

    Raises:
        InputError: the registry lacks one.
        VerificationFailed: a signature or evidence is not what it must be, or a tag was moved.
        PublishRefused: an image's evidence is not what the channel asks for.
        RegistryError: the registry does not answer.
    """
    repository = source.repository
    suffix = tag_suffix + channel_named(wanted.matrix, wanted.channel).suffix

    def look(cell: Cell) -> ChannelImage:
        own = cell.tags[0] + suffix
        image = image_at(repository, own)
        if image is None:
            raise InputError(
                f"{repository} has no tag {own}: publish it there, or choose other cells with "
                "--arch and --base"
            )
        found = replace(wanted, cells=[cell]).look(source.cosign, image, rolling=own)
        here = tuple(
            tag
            for tag in found.rolling
            if tag == own or repository.digest_of(tag) == found.image.digest
        )
        return replace(found, rolling=here)

    with Threads(AT_ONCE) as pool:
        return list(pool.map(look, wanted.cells))
