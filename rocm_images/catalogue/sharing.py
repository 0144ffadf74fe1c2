"""What an image shares with others, and so what a node pulls that has one of those already.

By the digests of compressed layers, for that is what a node compares: whatever was compressed anew
is shared with nothing. An image's configuration, some kilobytes, comes with each pull.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from packaging.version import Version

from rocm_images.catalogue.schema import CatalogueEntry, Layer, Pulls


class Blob(Protocol):
    """A layer as a registry has it."""

    @property
    def digest(self) -> str:
        """Of the compressed bytes."""

    @property
    def size(self) -> int:
        """Compressed bytes."""


@dataclass(frozen=True)
class Unlisted:
    """An image that no catalogue lists, as CatalogueEntry would describe it."""

    repository: str
    channel: str
    cell: str
    version: str
    rocm: str
    arch: str
    digest: str
    layers: tuple[Layer, ...]


Image: TypeAlias = "CatalogueEntry | Unlisted"


def lacked(image: Iterable[Blob], there: Iterable[Blob]) -> int:
    """Bytes of the layers of an image that are not among those there.

    A layer that an image has twice is stored and transferred once; where its sizes are not the
    same, one of them is wrong, and the larger counts.
    """
    sizes: dict[str, int] = {}
    for one in image:
        sizes[one.digest] = max(one.size, sizes.get(one.digest, 0))
    return sum(sizes[digest] for digest in sizes.keys() - {layer.digest for layer in there})


def previous_of(
    image: Image,
    images: Iterable[CatalogueEntry],
    history: Iterable[CatalogueEntry],
) -> CatalogueEntry | None:
    """What a node has that followed the image's channel before; None for the first of its cell.

    Of the same version of the server the one that was current last, else that of the version
    before. Of an image that a rollback brought back that is the one that was rolled back; of the
    next to be published the one that was brought back.

    Args:
        image: it may be among the others, or be about to be.
        images: the current images of a catalogue.
        history: those that were replaced, the latest first.
    """
    own = (image.repository, image.channel, image.cell)
    others = [
        one
        for one in (*images, *history)
        if (one.repository, one.channel, one.cell) == own and one.digest != image.digest
    ]
    version = Version(image.version)
    same = [one for one in others if Version(one.version) == version]
    older = [one for one in others if Version(one.version) < version]
    return same[0] if same else max(older, key=lambda one: Version(one.version), default=None)


def pulls_of(
    image: Image,
    images: Iterable[CatalogueEntry],
    history: Iterable[CatalogueEntry],
    *,
    with_base: int | None = None,
) -> Pulls:
    """What a node pulls that has something already; see `previous_of`."""
    current = tuple(images)
    previous = previous_of(image, current, history)
    siblings = [one for one in siblings_of(image, current) if one.channel == image.channel]
    return Pulls(
        previous=previous and previous.immutable_tag,
        with_previous=previous and lacked(image.layers, previous.layers),
        # Of several that which has least of it.
        with_other_arch=max((lacked(image.layers, one.layers) for one in siblings), default=None),
        with_base=with_base,
    )


def with_sharing(
    images: Sequence[CatalogueEntry], history: Iterable[CatalogueEntry]
) -> tuple[CatalogueEntry, ...]:
    """The current images, each with what it shares and what it pulls as the catalogue is now."""
    earlier = tuple(history)
    return tuple(
        image.model_copy(
            update={
                "shared": _shared(image, siblings_of(image, images)),
                "pulls": pulls_of(image, images, earlier, with_base=image.pulls.with_base),
            }
        )
        for image in images
    )


def siblings_of(image: Image, images: Iterable[CatalogueEntry]) -> list[CatalogueEntry]:
    """The images of the same repository, server version and base for other archs."""
    same = (image.repository, image.version, image.rocm)
    return [
        other
        for other in images
        if (other.repository, other.version, other.rocm) == same and other.arch != image.arch
    ]


def _shared(image: Image, siblings: Iterable[CatalogueEntry]) -> int:
    theirs = [layer for sibling in siblings for layer in sibling.layers]
    return lacked(image.layers, ()) - lacked(image.layers, theirs)
