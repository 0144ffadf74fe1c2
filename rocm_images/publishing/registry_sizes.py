"""What `build.py sizes --registry` shows: what a node pulls of each cell's image that is there.

Of an image that is current in the channel the signed catalogue says it. Of another that is there,
pushed alone, published to another channel or rolled back, it is what the manifest says, unverified.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rocm_images import references
from rocm_images.build.site import Site
from rocm_images.build.targets import Target, targets_of, with_found
from rocm_images.catalogue.entry import layers_in
from rocm_images.catalogue.schema import Catalogue, CatalogueEntry, Layer, Pulls
from rocm_images.catalogue.sharing import Unlisted, lacked, pulls_of
from rocm_images.catalogue.signed import as_in, verified_in
from rocm_images.engine.connect import Engine
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell
from rocm_images.plan.selection import by_repository
from rocm_images.publishing.entries import base_reference, bases_of, unpacked_of
from rocm_images.publishing.gate import channel_named
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.place import Place, place_of
from rocm_images.registry.published import PublishedImage, image_at
from rocm_images.registry.trust import Trust
from rocm_images.sizes import Sizes
from rocm_images.tables import Column, bytes_in_words, text_table

PUBLISHED, OLDER, PUSHED, NOWHERE = (
    "published",
    "published; what the matrix makes now is not pushed yet",
    "pushed, not current in this channel",
    "not pushed yet",
)


@dataclass(frozen=True)
class ImageSizes:
    """What is known of one image; bytes, and None where it is not known."""

    cell: str
    state: str
    tag: str
    """Its immutable tag."""
    sizes: Sizes
    pulls: Pulls
    layers: tuple[Layer, ...]


@dataclass(frozen=True)
class Sizing:
    """What was typed after `sizes --registry`: see its options."""

    matrix_path: Path
    matrix: Matrix
    cells: tuple[Cell, ...]
    """Those that were chosen."""
    registry: RegistryAddress
    ca_bundle: Path | None
    attempts: int
    channel: str
    trust: Trust
    site: Site
    contexts: tuple[str, ...] = ()

    def found(self) -> list[ImageSizes]:
        """The sizes of each chosen cell's image, repository by repository.

        Raises:
            InputError: an option cannot be used.
            RegistryError: the registry does not answer.
            VerificationFailed: a catalogue there is not signed by those who are trusted.
        """
        channel_named(self.matrix, self.channel)
        engine = self.site.found_engine()
        targets = targets_of(
            self.site, self.matrix_path, self.matrix, self.cells, contexts=self.contexts
        )
        targets = with_found(engine, targets) if engine else targets
        environment = engine.environment if engine else self.site.programs()
        where = (self.registry, self.ca_bundle, self.attempts, environment)
        return [
            size
            for name, of_one in by_repository(targets, lambda target: target.cell).items()
            for size in self._in(place_of(name, *where), engine, of_one)
        ]

    def _in(
        self, place: Place, engine: Engine | None, targets: Sequence[Target]
    ) -> list[ImageSizes]:
        there = verified_in(place.repository, place.cosign, self.trust)
        listed = as_in(place.repository, there[1]) if there else None
        images = [image_at(place.repository, one.immutable_tag) for one in targets]
        unlisted = [
            one
            for one, image in zip(targets, images, strict=True)
            if image and not self._listed(listed, image.digest)
        ]
        bases = bases_of(unlisted, place.repository.ca_bundle)
        found = []
        for one, image in zip(targets, images, strict=True):
            entry = self._listed(listed, image.digest) if image else None
            unpacked = None if entry else unpacked_of(engine, one)
            if entry:
                found.append(_of_entry(entry, PUBLISHED))
            elif image:
                base = bases.get(base_reference(one) or "")
                pushed = self._pushed(str(place.repository), one, image)
                with_base = None if base is None else lacked(pushed.layers, base)
                known = (listed.images, listed.history) if listed else ((), ())
                pulls = pulls_of(pushed, *known, with_base=with_base)
                found.append(_of_pushed(pushed, one, unpacked, pulls))
            elif before := self._current(listed, one):
                found.append(_of_entry(before, OLDER))
            else:
                nothing = (one.cell.name, NOWHERE, one.immutable_tag, Sizes(unpacked=unpacked))
                found.append(ImageSizes(*nothing, Pulls(), ()))
        return found

    def _listed(self, listed: Catalogue | None, digest: str) -> CatalogueEntry | None:
        wanted = (self.channel, digest)
        images = listed.images if listed else ()
        return next((one for one in images if (one.channel, one.digest) == wanted), None)

    def _current(self, listed: Catalogue | None, one: Target) -> CatalogueEntry | None:
        wanted = (self.channel, one.cell.name)
        images = listed.images if listed else ()
        current = [image for image in images if (image.channel, image.cell) == wanted]
        return max(current, key=lambda image: image.preference, default=None)

    def _pushed(self, repository: str, one: Target, image: PublishedImage) -> Unlisted:
        cell = one.cell
        layers = layers_in(image.manifest, image.reference, image.steps, one.dockerfile)
        named = (repository, self.channel, cell.name, cell.version, cell.rocm, cell.arch)
        return Unlisted(*named, image.digest, layers)


def _of_entry(entry: CatalogueEntry, state: str) -> ImageSizes:
    sizes = Sizes(entry.size, entry.unpacked)
    of_image = (state, entry.immutable_tag, sizes, entry.pulls, entry.layers)
    return ImageSizes(entry.cell, *of_image)


def _of_pushed(pushed: Unlisted, one: Target, unpacked: int | None, pulls: Pulls) -> ImageSizes:
    sizes = Sizes(lacked(pushed.layers, ()), unpacked)
    return ImageSizes(pushed.cell, PUSHED, one.immutable_tag, sizes, pulls, pushed.layers)


def as_text(found: Sequence[ImageSizes]) -> str:
    """A table of the images, and one of the layers of each."""
    rows = [
        (
            one.cell,
            *one.sizes.words,
            bytes_in_words(one.pulls.with_previous),
            bytes_in_words(one.pulls.with_other_arch),
            bytes_in_words(one.pulls.with_base),
            one.state,
        )
        for one in found
    ]
    header = (
        "CELL",
        Column.number("COMPRESSED"),
        Column.number("UNPACKED"),
        Column.number("AFTER THE PREVIOUS", extra=True),
        Column.number("AFTER THE OTHER ARCH", extra=True),
        Column.number("AFTER THE BASE", extra=True),
        Column.words("THE IMAGE IS"),
    )
    parts = [text_table(header, rows, elsewhere="--json has all")]
    for one in found:
        after = f", after {one.pulls.previous}" if one.pulls.previous else ""
        layers = [
            (
                layer.stage or "-",
                bytes_in_words(layer.size),
                references.short(layer.digest),
                layer.step or "",
            )
            for layer in one.layers
        ]
        if layers:
            columns = (
                "STAGE",
                Column.number("COMPRESSED"),
                "LAYER",
                Column.value("STEP"),
            )
            table = text_table(columns, layers)
            parts.append(f"{one.cell}: {one.tag}{after}\n{table}")
    return "\n\n".join(parts)


def as_json_text(found: Sequence[ImageSizes]) -> str:
    """The same for machines."""
    images = [
        {
            "cell": one.cell,
            "state": one.state,
            "immutable_tag": one.tag,
            **asdict(one.sizes),
            "pulls": one.pulls.model_dump(),
            "layers": [layer.model_dump() for layer in one.layers],
        }
        for one in found
    ]
    return json.dumps({"images": images}, indent=2)
