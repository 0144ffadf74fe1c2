"""The published images of a channel, once their signatures and evidence are verified."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rocm_images.engine.images import BUILD_ID
from rocm_images.errors import InputError, PublishRefused
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell
from rocm_images.publishing.candidates import verified_evidence
from rocm_images.publishing.gate import channel_named, refusal
from rocm_images.publishing.target import Target
from rocm_images.recipe.build_id import SHORT
from rocm_images.registry.cosign import Trust
from rocm_images.registry.published import PublishedImage, image_at
from rocm_images.smoke.evidence import Evidence
from rocm_images.threads import Threads

AT_ONCE = 4


@dataclass(frozen=True)
class VerifiedImage:
    """One image of a channel."""

    cell: str
    immutable: str
    rolling: tuple[str, ...]
    image: PublishedImage
    evidence: Evidence


def verified_images(
    source: Target,
    trust: Trust,
    matrix: Matrix,
    cells: Sequence[Cell],
    channel: str,
    *,
    tag_suffix: str,
) -> list[VerifiedImage]:
    """What the rolling tags of a channel stand for, cell by cell.

    Raises:
        InputError: the registry lacks one.
        VerificationFailed: a signature or evidence is not what it must be.
        PublishRefused: an image's evidence is not what the channel asks for.
        RegistryError: the registry does not answer.
    """
    wanted = channel_named(matrix, channel)

    def look(cell: Cell) -> VerifiedImage:
        rolling = tuple(tag + tag_suffix + wanted.suffix for tag in cell.tags)
        image = image_at(source.repository, rolling[0])
        if image is None:
            raise InputError(
                f"{source.repository} has no tag {rolling[0]}: publish it there, or choose other "
                "cells with --arch and --base"
            )
        evidence = verified_evidence(source.cosign, image, trust)
        reason = refusal(cell, image.digest, evidence, channel, wanted)
        if reason:
            raise PublishRefused(reason)
        immutable = f"{cell.tags[0]}{tag_suffix}-{image.labels.get(BUILD_ID, '')[:SHORT]}"
        return VerifiedImage(cell.name, immutable, rolling, image, evidence)

    with Threads(AT_ONCE) as pool:
        return list(pool.map(look, cells))
