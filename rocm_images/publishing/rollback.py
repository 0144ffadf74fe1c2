"""Finds which rolling tags go back to which earlier image, and verifies that image first."""

from __future__ import annotations

from collections.abc import Sequence

from rocm_images.engine.images import BUILD_ID, CELL
from rocm_images.errors import InputError, PublishRefused
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell
from rocm_images.plan.selection import cell_named
from rocm_images.publishing.candidates import verified_evidence
from rocm_images.publishing.gate import channel_named, refusal
from rocm_images.publishing.rolling_tags import Move, moves
from rocm_images.publishing.target import Target
from rocm_images.recipe.build_id import SHORT
from rocm_images.registry.client import Manifest
from rocm_images.registry.cosign import Trust
from rocm_images.registry.published import PublishedImage, check_label, image_at


def roll_back(
    target: Target,
    trust: Trust,
    matrix: Matrix,
    cells: Sequence[Cell],
    channel: str,
    immutable_tags: Sequence[str],
) -> list[Move]:
    """The moves that bring the channel's rolling tags back to these images; nothing is moved yet.

    Raises:
        InputError: the registry has no such tag, or two tags are of one cell.
        PublishRefused: the evidence of an image is not what the channel asks for.
        VerificationFailed: an image does not verify.
        RegistryError: the registry does not answer.
    """
    wanted = channel_named(matrix, channel)
    manifests: dict[str, Manifest] = {}
    for tag in immutable_tags:
        image = image_at(target.repository, tag)
        if image is None:
            raise InputError(
                f"{target.repository} has no tag {tag!r}: name an immutable tag, which ends in 12 "
                "hex digits"
            )
        check_label(image, tag)
        evidence = verified_evidence(target.cosign, image, trust)
        cell = cell_named(cells, image.labels.get(CELL, ""))
        reason = refusal(cell, image.digest, evidence, channel, wanted)
        if reason:
            raise PublishRefused(reason)
        for rolling in rolling_tags_of(image, cell, tag):
            if rolling + wanted.suffix in manifests:
                raise InputError(f"two of the tags that --to names would move {rolling}: name one")
            manifests[rolling + wanted.suffix] = image.top
    return moves(target.repository, manifests)


def rolling_tags_of(image: PublishedImage, cell: Cell, immutable_tag: str) -> list[str]:
    """The rolling tags that belong to an image, by its immutable tag and its cell.

    The tag of a release that the matrix no longer builds has only its own rolling tag: the others
    belong to the release that is built now.
    """
    own = immutable_tag.removesuffix(f"-{image.labels[BUILD_ID][:SHORT]}")
    # In a rehearsal every tag has the same end.
    suffix = own.removeprefix(cell.tags[0]) if own.startswith(cell.tags[0]) else None
    if suffix is None:
        return [own]
    return [tag + suffix for tag in cell.tags]
