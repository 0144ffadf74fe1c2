"""What an engine makes of compressed layers: containerd's image store keeps them, others do not.

A graph driver has layers unpacked alone, and compresses them anew, as gzip, when it pushes.
https://github.com/moby/moby/issues/28394
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rocm_images import telling
from rocm_images.matrix.schema import Layers

if TYPE_CHECKING:
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
    client = engine.client()
    try:
        status = client.info().get("DriverStatus")
    finally:
        client.close()
    return ["driver-type", _DRIVER_TYPE] in (status if isinstance(status, list) else [])


def tell_what_is_pushed(engine: Engine, layers: Layers) -> None:
    """Say, where an engine will push other layers than are asked for, that it does, and how not."""
    kind = layers.compression.partition(":")[0]
    if kind != "gzip" and not keeps_compressed(engine):
        telling.step(
            f"note: this engine keeps layers unpacked, and pushes them as gzip, not {kind}: "
            f"{HOW_TO_KEEP}"
        )
