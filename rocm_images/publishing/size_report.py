"""Shows what a node pulls of each image: as tables, or for machines."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rocm_images import references
from rocm_images.publishing.sizes import ImageSizes
from rocm_images.tables import bytes_in_words, text_table


def as_text(found: Sequence[ImageSizes]) -> str:
    """A table of the images, and one of the layers of each."""
    rows = [
        (
            one.cell,
            _words(one.compressed),
            _words(one.unpacked),
            _words(one.pulls.with_previous),
            _words(one.pulls.with_other_arch),
            _words(one.pulls.with_base),
            one.state,
        )
        for one in found
    ]
    header = ("CELL", "COMPRESSED", "UNPACKED", "AFTER THE PREVIOUS", "AFTER THE OTHER ARCH")
    parts = [text_table((*header, "AFTER THE BASE", "THE IMAGE IS"), rows)]
    for one in found:
        after = f", after {one.pulls.previous}" if one.pulls.previous else ""
        layers = [
            (
                layer.stage or "-",
                _words(layer.size),
                references.short(layer.digest),
                layer.step or "",
            )
            for layer in one.layers
        ]
        if layers:
            table = text_table(("STAGE", "COMPRESSED", "LAYER", "STEP"), layers)
            parts.append(f"{one.cell}: {one.tag}{after}\n{table}")
    return "\n\n".join(parts)


def as_json_text(found: Sequence[ImageSizes]) -> str:
    """The same for machines."""
    images = [
        {
            "cell": one.cell,
            "state": one.state,
            "immutable_tag": one.tag,
            "compressed": one.compressed,
            "unpacked": one.unpacked,
            "pulls": one.pulls.model_dump(),
            "layers": [layer.model_dump() for layer in one.layers],
        }
        for one in found
    ]
    return json.dumps({"images": images}, indent=2)


def _words(size: int | None) -> str:
    return "-" if size is None else bytes_in_words(size)
