"""How the layers of published images are compressed, and where that is not as was asked for.

It is a warning and no refusal: what was tested is what is in the layers, whichever way they are
compressed, and an engine that can push nothing but gzip is most people's before Docker 29.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rocm_images.engine.image_store import HOW_TO_KEEP
from rocm_images.engine.layers import stages_of_layers

if TYPE_CHECKING:
    from rocm_images.publishing.transaction import Done, Publication


def compressions(done: Done) -> Counter[str]:
    """How many of the layers that are to be compressed as asked are compressed how."""
    target = done.candidate.target
    asked, layers = target.layers, done.image.manifest["layers"]
    if not (asked.recompress_base or asked.compression.startswith("gzip")):
        # Those of the base are the vendor's, as they are.
        layers = layers[len(layers) - len(stages_of_layers(target.dockerfile)) :]
    # application/vnd.oci.image.layer.v1.tar+zstd, ...diff.tar.gzip
    return Counter(layer["mediaType"].replace("+", ".").rpartition(".")[2] for layer in layers)


def shown(done: Done) -> str:
    """The same in words."""
    return ", ".join(f"{count} {kind}" for kind, count in compressions(done).most_common())


def other_than_asked(publication: Publication, *, keeps: bool) -> Iterator[str]:
    """What is published otherwise than was asked for, and how that can change.

    Args:
        publication: what was done.
        keeps: whether the engine pushes layers as they are compressed; so where there is none.
    """
    other: dict[str, list[str]] = {}
    for done in publication.cells:
        asked = done.candidate.target.layers.compression.partition(":")[0]
        if set(compressions(done)) - {asked}:
            other.setdefault(asked, []).append(f"{done.candidate.cell.name} ({shown(done)})")
    if not other:
        return
    how = (
        "the build cache had them from a build with another compression, and this image keeps "
        "them; for the next one, `docker builder prune --filter type=regular`"
        if keeps
        else "this engine keeps layers unpacked, and pushes gzip: build and publish with "
        f"--compression gzip to say so; {HOW_TO_KEEP}"
    )
    for asked, names in other.items():
        yield f"published with layers that are not {asked}, as was asked: {', '.join(names)}: {how}"
