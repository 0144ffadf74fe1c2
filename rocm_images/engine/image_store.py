"""What an engine makes of compressed layers: containerd's image store keeps them, others do not.

A graph driver has layers unpacked alone, and compresses them anew, as gzip, when it pushes.
https://github.com/moby/moby/issues/28394
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import TYPE_CHECKING

from rocm_images import telling
from rocm_images.engine.layers import found_image
from rocm_images.matrix.schema import Layers
from rocm_images.sizes import Sizes

if TYPE_CHECKING:
    import docker

    from rocm_images.engine.connect import Engine

HOW_TO_KEEP = (
    "containerd's image store keeps them, which Docker 29 has from its installation on and earlier "
    'ones by {"features": {"containerd-snapshotter": true}} in daemon.json (docs/engine.md)'
)
_DRIVER_TYPE = "io.containerd.snapshotter.v1"


def keeps_compressed(engine: Engine) -> bool:
    """Whether an engine pushes layers as they were built or pulled.

    Raises:
        EngineError: it does not answer.
    """
    with closing(engine.client()) as client:
        return _keeps_compressed(client)


def _keeps_compressed(client: docker.DockerClient) -> bool:
    status = client.info().get("DriverStatus")
    return ["driver-type", _DRIVER_TYPE] in (status if isinstance(status, list) else [])


def sizes_of(client: docker.DockerClient, references: Iterable[str]) -> dict[str, Sizes]:
    """The sizes of images that the engine has, by reference, as far as it knows them.

    containerd's store says of one image what it keeps compressed: manifest, configuration and
    layers (`size` in moby's daemon/containerd/image_inspect.go); in a list it adds what they take
    unpacked. A graph driver has the latter alone.

    Raises:
        InputError: the engine does not have an image.
    """
    kept, found = _keeps_compressed(client), {}
    for reference in references:
        image = found_image(client, reference)
        size = int(image.attrs.get("Size") or 0)
        unpacked = sum(int(entry["Size"]) for entry in image.history()) if kept else size
        found[reference] = Sizes(size if kept else None, unpacked)
    return found


def tell_what_is_pushed(engine: Engine, layers: Layers) -> None:
    """Say, where an engine will push other layers than are asked for, that it does, and how not."""
    kind = layers.compression.partition(":")[0]
    if kind != "gzip" and not keeps_compressed(engine):
        telling.step(
            f"note: this engine keeps layers unpacked, and pushes them as gzip, not {kind}: "
            f"{HOW_TO_KEEP}"
        )
