"""Which layers an image is made of, which stage of the recipe made each, and what images share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rocm_images import references
from rocm_images.engine.buildx import COMMON_WORDS
from rocm_images.errors import InputError, NoSuchImage
from rocm_images.sizes import Sizes
from rocm_images.tables import Column, bytes_in_words, filled, room, text_table
from rocm_images.telling import counted

if TYPE_CHECKING:
    import docker
    from docker.models.images import Image

BASE_IMAGE = "base image"


@dataclass(frozen=True)
class Layer:
    """One layer: its digest, its size in bytes, and where it came from.

    As an engine has it: unpacked, by its diff id. As a registry has it: compressed.
    """

    digest: str
    size: int
    stage: str
    step: str


def layers_of(client: docker.DockerClient, reference: str, dockerfile: str) -> tuple[Layer, ...]:
    """The layers of an image that was built by `dockerfile`, the oldest first.

    Raises:
        InputError: the engine does not have the image.
    """
    image = found_image(client, reference)
    digests: list[str] = image.attrs["RootFS"]["Layers"]
    # The newest entry comes first; those that only set metadata have no layer.
    history = [
        (str(entry["CreatedBy"]), int(entry["Size"]))
        for entry in reversed(image.history())
        if _makes_layer(str(entry["CreatedBy"]), int(entry["Size"]))
    ]
    sizes = [0] * max(len(digests) - len(history), 0) + [size for _, size in history]
    sizes = sizes[len(sizes) - len(digests) :]
    steps = [step for step, _ in history]
    return attributed(list(zip(digests, sizes, strict=True)), steps, dockerfile)


def found_image(client: docker.DockerClient, reference: str) -> Image:
    """An image that the engine has.

    Raises:
        NoSuchImage: it does not.
        InputError: the reference is none.
    """
    from docker.errors import APIError, ImageNotFound

    try:
        return client.images.get(reference)
    except ImageNotFound:
        raise NoSuchImage(reference) from None
    except APIError as error:
        if not error.is_client_error():
            raise
        raise InputError(f"{reference!r} names no image: {error.explanation}") from None


def attributed(
    layers: Sequence[tuple[str, int]], steps: Sequence[str], dockerfile: str
) -> tuple[Layer, ...]:
    """Layers by digest and size, the oldest first, each with the stage and the step that made it.

    Steps are matched from the newest: a squashed base has fewer of them than layers.
    """
    stages = stages_of_layers(dockerfile)
    begin = len(layers) - len(stages)
    found = []
    for index, (digest, size) in enumerate(layers):
        offset = len(layers) - index
        step = steps[-offset] if offset <= len(steps) else ""
        stage = stages[index - begin] if index >= begin else BASE_IMAGE
        found.append(Layer(digest, size, stage, _short(step)))
    return tuple(found)


def stages_of_layers(dockerfile: str) -> tuple[str, ...]:
    """For each layer that the Dockerfile adds to its base image, the stage that makes it."""
    stages: dict[str, tuple[str, int]] = {}
    name = ""
    heredocs: list[str] = []
    for line in dockerfile.splitlines():
        if heredocs:
            # One after the other, where an instruction has several.
            if line == heredocs[0]:
                heredocs.pop(0)
            continue
        if match := re.match(r"FROM (\S+) AS (\S+)", line):
            parent, name = match.groups()
            stages[name] = (parent, 0)
        elif re.match(r"(RUN|COPY|ADD)\b", line) and name:
            parent, count = stages[name]
            stages[name] = (parent, count + 1)
        heredocs = re.findall(r"<<'?([\w.]+)'?", line)
    chain: list[str] = []
    while name in stages:
        parent, count = stages[name]
        chain = [name] * count + chain
        name = parent
    return tuple(chain)


def shared_by_all(images: Mapping[str, Sequence[Layer]]) -> int:
    """How many layers, from the oldest on, all the images have in common."""
    count = 0
    for layers in zip(*images.values(), strict=False):
        if len({layer.digest for layer in layers}) > 1:
            break
        count += 1
    return count


def size_report(images: Mapping[str, Sequence[Layer]], sizes: Mapping[str, Sizes]) -> str:
    """For images of one base, by cell: both sizes, each layer unpacked, and what is shared."""
    shared = shared_by_all(images)
    lines = []
    for name, layers in images.items():
        rows = [
            (
                layer.stage,
                bytes_in_words(layer.size),
                *(["by all" if index < shared else ""] if len(images) > 1 else []),
                references.short(layer.digest),
                layer.step,
            )
            for index, layer in enumerate(layers)
        ]
        lines.append(f"{name}: {sizes[name]}, {counted(len(layers), 'layer')}")
        header: list[Column | str] = ["STAGE", Column.number("UNPACKED")]
        header += ["SHARED"] if len(images) > 1 else []
        header += ["LAYER", Column.value("STEP")]
        lines.append(text_table(header, rows))
        lines.append("")
    if len(images) > 1:
        common = sum(layer.size for layer in next(iter(images.values()))[:shared])
        size = bytes_in_words(common)
        layers_shared = counted(shared, "layer")
        text = f"{', '.join(images)} share {layers_shared}: {size} unpacked are stored once"
        lines.append(filled(text, room()))
    return "\n".join(lines)


def _makes_layer(step: str, size: int) -> bool:
    instruction = step.removeprefix("/bin/sh -c #(nop)").strip().split(" ", 1)[0]
    metadata = ("CMD", "ENV", "LABEL", "ENTRYPOINT", "WORKDIR", "USER", "SHELL", "ARG", "EXPOSE")
    return size > 0 or instruction not in metadata


def _short(step: str) -> str:
    text = " ".join(COMMON_WORDS.sub("", step).replace("# buildkit", "").split())
    return text if len(text) <= 80 else text[:77] + "..."
