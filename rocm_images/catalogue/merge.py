"""Merges what was published into a catalogue: what is current, what is history, what is shared."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence

from rocm_images.catalogue.schema import DEFAULT_CHANNEL, SCHEMA, Catalogue, CatalogueEntry
from rocm_images.catalogue.sharing import with_sharing
from rocm_images.errors import InputError
from rocm_images.servers import DEFAULT


def merged(
    previous: Catalogue | None, entries: Sequence[CatalogueEntry], updated: str
) -> Catalogue:
    """The catalogue after `entries` were published.

    An image stays current until one of the same repository, channel, cell and server version
    replaces it; then it is history, newest first. A rolling tag belongs to the image that got it
    last, and in one channel an arch has one recommended base for each version of a server.

    Args:
        previous: the catalogue before; None for the first.
        entries: what was published: at most one for each key.
        updated: ISO 8601 with the offset from UTC.
    """
    before = previous.images if previous else ()
    history = previous.history if previous else ()
    new = {entry.key: entry for entry in entries}
    kept = [_after(image, entries) for image in before if image.key not in new]
    replaced = [image for image in before if image.key in new]
    current = {(entry.key, entry.digest) for entry in entries}
    earlier = _first_of_each(
        image for image in (*replaced, *history) if (image.key, image.digest) not in current
    )
    return Catalogue(
        schema=SCHEMA,
        updated=updated,
        images=with_sharing(in_order([*kept, *new.values()]), earlier),
        history=earlier,
    )


def restored(
    catalogue: Catalogue, immutable_tag: str, updated: str, *, channel: str | None
) -> Catalogue:
    """The catalogue after a channel's rolling tags went back to the image of an immutable tag.

    It gets the rolling tags of the image that it replaces, which becomes history.

    Raises:
        InputError: neither the current images of the channel nor its history has that tag.
    """
    wanted = (immutable_tag, channel)
    for image in catalogue.images:
        if (image.immutable_tag, image.channel) == wanted:
            return catalogue
    for image in catalogue.history:
        if (image.immutable_tag, image.channel) == wanted:
            current = next((i for i in catalogue.images if i.key == image.key), None)
            tags = current.tags if current else image.tags
            recommended = current.recommended if current else image.recommended
            back = image.model_copy(update={"tags": tags, "recommended": recommended})
            return merged(catalogue, [back], updated)
    where = f" in channel {channel}" if channel else ""
    raise InputError(
        f"the catalogue has no image with the immutable tag {immutable_tag}{where}: `history` in "
        "catalogue.json lists those that there are"
    )


def together(catalogues: Sequence[Catalogue]) -> Catalogue:
    """One list of what several repositories have, each as its own catalogue says it."""
    history = [image for one in catalogues for image in one.history]
    latest_first = sorted(history, key=lambda image: _moment(image.published), reverse=True)
    return Catalogue(
        schema=SCHEMA,
        updated=max((one.updated for one in catalogues), key=_moment),
        images=tuple(in_order(image for one in catalogues for image in one.images)),
        history=tuple(latest_first),
    )


def _moment(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


def _after(image: CatalogueEntry, entries: Iterable[CatalogueEntry]) -> CatalogueEntry:
    """A current image without what others have taken over."""
    others = [entry for entry in entries if entry.repository == image.repository]
    taken = {tag for entry in others for tag in entry.tags}
    outdone = any(
        entry.recommended
        and (entry.channel, entry.arch, entry.version) == (image.channel, image.arch, image.version)
        for entry in others
    )
    return image.model_copy(
        update={
            "tags": tuple(tag for tag in image.tags if tag not in taken),
            "recommended": image.recommended and not outdone,
        }
    )


def _first_of_each(images: Iterable[CatalogueEntry]) -> tuple[CatalogueEntry, ...]:
    found: dict[object, CatalogueEntry] = {}
    for image in images:
        found.setdefault((image.key, image.digest), image)
    return tuple(found.values())


def in_order(images: Iterable[CatalogueEntry]) -> list[CatalogueEntry]:
    """The images as they are listed: of a server, the first of an arch is the one to prefer."""
    by_name = sorted(images, key=lambda image: (image.cell, image.channel or ""))
    newest_first = sorted(by_name, key=lambda image: image.preference, reverse=True)
    return sorted(newest_first, key=_place)


def _place(image: CatalogueEntry) -> tuple[object, ...]:
    other_channel = (image.channel or "") not in ("", DEFAULT_CHANNEL)
    rank = (image.stand_in, other_channel, image.is_prerelease, not image.recommended)
    return (image.server != DEFAULT.name, image.repository, image.arch, *rank)
