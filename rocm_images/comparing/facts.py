"""What two images are compared by, wherever it was read: an engine, a file, a catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, TypeAdapter

from rocm_images.catalogue.sharing import lacked
from rocm_images.errors import InputError
from rocm_images.files import write_json
from rocm_images.foreign import document_of
from rocm_images.recipe.labels import PREFIX

if TYPE_CHECKING:
    from rocm_images.catalogue.schema import CatalogueEntry

SCHEMA = 1
ADVISORIES = PREFIX + "advisories"


Bytes = Annotated[int, Field(ge=0, lt=2**63)]


@dataclass(frozen=True)
class LayerFact:
    """One layer: its digest, its bytes, and the step that made it, where that is known."""

    digest: str
    size: Bytes
    step: str = ""
    stage: str = ""
    """Of the recipe, or `base image`; empty where the recipe is another than today's."""


def bytes_of(layers: Sequence[LayerFact], *, compressed: bool) -> int:
    """Bytes of layers of one image, as the catalogue counts them.

    A compressed one that is there twice is transferred once; unpacked it takes its place twice.
    """
    return lacked(layers, ()) if compressed else sum(layer.size for layer in layers)


@dataclass(frozen=True)
class Installed:
    """What one package takes, as it says itself (dpkg), or as its files are (pip)."""

    size: Bytes
    by_recipe: bool
    """Whether a step of ours installed it; else the base image brought it."""


@dataclass(frozen=True)
class ImageFacts:
    """One image. Sizes of layers are as its source has them: all compressed, or none."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    cell: str
    """Empty for an image of another project."""
    image_id: str
    compressed: bool
    packages: Mapping[str, Mapping[str, str]]
    """Versions by name, for each kind of package: `dpkg`, `pip`, or `component`."""
    labels: Mapping[str, str]
    env: Mapping[str, str]
    advisories: tuple[str, ...]
    layers: tuple[LayerFact, ...]
    installed: Mapping[str, Mapping[str, Installed]] = field(default_factory=dict)
    """Of packages by name, for each kind; empty where that was not looked for."""

    @property
    def size(self) -> int:
        """Bytes of all layers."""
        return bytes_of(self.layers, compressed=self.compressed)

    @classmethod
    def of_json(cls, document: Mapping[str, Any]) -> ImageFacts:
        """The facts that `inventory` wrote; raises ValueError for others."""
        return TypeAdapter(cls).validate_python(document)

    @classmethod
    def of_published(cls, image: CatalogueEntry) -> ImageFacts:
        """What a catalogue says of an image: no packages but those it is named for."""
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
                }
            },
            labels={},
            env={setting.name: setting.value for setting in image.settings},
            advisories=tuple(issue.id for issue in image.known_issues),
            layers=tuple(
                LayerFact(layer.digest, layer.size, layer.step or "", layer.stage or "")
                for layer in image.layers
            ),
        )


def write_inventory(path: Path, images: Iterable[ImageFacts]) -> None:
    """Write the facts of images to a file.

    Raises:
        InputError: it cannot be written.
    """
    document = {"inventory": SCHEMA, "images": [asdict(image) for image in images]}
    write_json(path, document)


def read_images(path: Path, channel: str | None = None) -> dict[str, ImageFacts]:
    """The images of an inventory, or the current ones of a catalogue.json, by cell.

    Of a catalogue with `channel` only those of that channel; an inventory knows no channels.

    Raises:
        InputError: it is neither, or holds two images of one cell.
    """
    try:
        document = document_of(path)
        if isinstance(document, dict) and document.get("inventory") == SCHEMA:
            images = [ImageFacts.of_json(image) for image in document["images"]]
        else:
            images = _catalogued(path, channel)
    except OSError as error:
        raise InputError(f"{path}: cannot read it ({error.strerror})") from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is neither an inventory (`build.py inventory`) nor a catalogue.json ({error})"
        ) from None
    found: dict[str, ImageFacts] = {}
    for image in images:
        if image.cell in found:
            raise InputError(
                f"{path} has two images of {image.cell}, {found[image.cell].name} and "
                f"{image.name}: name one channel (--channel)"
            )
        found[image.cell] = image
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
    return [
        ImageFacts.of_published(image) for image in images if image.preference == first[image.cell]
    ]
