"""What two images are compared by, wherever it was read: an engine, a file, a catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rocm_images.catalogue.sharing import lacked
from rocm_images.catalogue.support import End, ends_of
from rocm_images.errors import InputError
from rocm_images.foreign import document_of
from rocm_images.recipe.labels import PREFIX
from rocm_images.sbom.document import Bill, is_bill
from rocm_images.sbom.made import SUFFIX

if TYPE_CHECKING:
    from rocm_images.catalogue.schema import CatalogueEntry

ADVISORIES = PREFIX + "advisories"


@dataclass(frozen=True)
class LayerFact:
    """One layer: its digest, its bytes, and the step that made it, where that is known."""

    digest: str
    size: int
    step: str = ""
    stage: str = ""
    """Of the recipe, or `base image`; empty where the recipe is another than today's."""


def bytes_of(layers: Sequence[LayerFact], *, compressed: bool) -> int:
    """Bytes of layers of one image, as the catalogue counts them.

    A compressed one that is there twice is transferred once; unpacked it takes its place twice.
    """
    return lacked(layers, ()) if compressed else sum(layer.size for layer in layers)


@dataclass(frozen=True)
class ImageFacts:
    """One image. Sizes of layers are as its source has them: all compressed, or none."""

    name: str
    cell: str
    """Empty for an image of another project."""
    image_id: str
    compressed: bool
    packages: Mapping[str, Mapping[str, str]]
    """Versions by name, for each kind of package: `dpkg`, `pip`, `other`, or `component`."""
    labels: Mapping[str, str]
    env: Mapping[str, str]
    advisories: tuple[str, ...]
    layers: tuple[LayerFact, ...]
    installed: Mapping[str, int] = field(default_factory=dict)
    """Bytes by name of what dpkg installed, as it says; empty where that is not known."""
    ends: tuple[End, ...] = ()
    """Until when its base and its channel are kept, where a catalogue says so."""

    @property
    def size(self) -> int:
        """Bytes of all layers."""
        return bytes_of(self.layers, compressed=self.compressed)

    @classmethod
    def of_bill(cls, bill: Bill) -> ImageFacts:
        """What a bill of materials says of an image: packages, and no layers."""
        return cls(
            name=bill.name,
            cell=bill.cell,
            image_id=bill.image_id,
            compressed=True,
            packages=bill.versions,
            labels={},
            env={},
            advisories=(),
            layers=(),
            installed=bill.sizes,
        )

    @classmethod
    def of_published(cls, image: CatalogueEntry, bill: Bill | None = None) -> ImageFacts:
        """What a catalogue says of an image, and its bill; without, only what it is named for."""
        return cls(
            name=f"{image.repository}:{image.immutable_tag}",
            cell=image.cell,
            image_id=image.digest,
            compressed=True,
            packages={
                "component": {
                    "ROCm": str(image.rocm),
                    image.server: str(image.version),
                    **{name: str(version) for name, version in image.components.items()},
                    "base image": image.base_image,
                },
                **(bill.versions if bill else {}),
            },
            labels={},
            env={setting.name: setting.value for setting in image.settings},
            advisories=tuple(issue.id for issue in image.known_issues),
            layers=tuple(
                LayerFact(layer.digest, layer.size, layer.step or "", layer.stage or "")
                for layer in image.layers
            ),
            installed=bill.sizes if bill else {},
            ends=tuple(ends_of(image)),
        )


def read_images(path: Path, channel: str | None = None) -> dict[str, ImageFacts]:
    """The current images of a catalogue.json, or those of bills of materials, by cell.

    Bills that lie in the folder of a catalogue say of its images what packages they hold.

    Args:
        path: a catalogue, a bill, or a folder of bills.
        channel: of a catalogue only its images; a bill knows no channels.

    Raises:
        InputError: it is none of these, or holds two images of one cell.
    """
    try:
        if path.is_dir():
            images = [ImageFacts.of_bill(bill) for bill in _bills(path)]
        elif is_bill(document := document_of(path)):
            images = [ImageFacts.of_bill(Bill.of_document(document))]
        else:
            images = _catalogued(path, channel)
    except OSError as error:
        raise InputError(f"{path}: cannot read it ({error.strerror})") from None
    except ValueError as error:
        raise InputError(
            f"{path} is neither a bill of materials (`build.py sbom`), a folder of such, nor a "
            f"catalogue.json ({error})"
        ) from None
    found: dict[str, ImageFacts] = {}
    for image in images:
        if image.cell in found:
            raise InputError(
                f"{path} has two images of {image.cell or 'no cell'}, {found[image.cell].name} and "
                f"{image.name}: name one channel (--channel), or keep one bill of each"
            )
        found[image.cell] = image
    return found


def _bills(folder: Path) -> list[Bill]:
    """The bills in a folder.

    Raises:
        ValueError: one of them is none; says which.
        OSError: one cannot be read.
    """
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            found.append(Bill.of_document(document_of(path)))
        except ValueError as error:
            raise ValueError(f"{path.name}: {error}") from None
    if not found:
        raise ValueError(f"no *{SUFFIX} lies in it")
    return found


def _catalogued(path: Path, channel: str | None) -> list[ImageFacts]:
    """Of each cell the images of its newest server: one, unless there are several channels.

    A pre-release counts only where a cell has no release.
    """
    from rocm_images.catalogue.file import read

    images = [image for image in read(path).images if channel in (None, image.channel)]
    first = {
        cell: max(image.preference for image in images if image.cell == cell)
        for cell in {image.cell for image in images}
    }
    beside = any(path.parent.glob(f"*{SUFFIX}"))
    bills = {bill.build_id: bill for bill in _bills(path.parent)} if beside else {}
    return [
        ImageFacts.of_published(image, bills.get(image.build_id))
        for image in images
        if image.preference == first[image.cell]
    ]
