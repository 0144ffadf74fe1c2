"""Which of this machine's GPUs an image can be for, and what someone should know of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from rocm_images.catalogue.schema import Catalogue, CatalogueEntry
from rocm_images.engine.machine import (
    NAME_THE_ARCH,
    Device,
    devices,
    devices_in_words,
    partitions_of,
)
from rocm_images.errors import NoImageFits
from rocm_images.servers import server_of

NEVER_SOLD = (" HF", " VF")
"""What AMD adds to the name of a GPU that a virtual machine has, and of a variant of its board."""


def usable(found: Sequence[Device], root: Path, known: Collection[str]) -> list[Device]:
    """The devices that an image can be for: of one gfx, and of those for which there are images.

    Args:
        found: every device of the machine.
        root: where sys and dev are.
        known: for which gfx there are images.

    Raises:
        NoImageFits: there is no GPU, no image for those that there are, or GPUs of several kinds
            for which there are images.
    """
    fitting = [device for device in found if device.gfx in known]
    kinds = sorted({device.gfx for device in fitting})
    if len(kinds) > 1:
        counted = " and ".join(
            f"{sum(device.gfx == kind for device in fitting)} of {kind}" for kind in kinds
        )
        raise NoImageFits(
            f"this machine has GPUs of several kinds, {counted}, and an image is for one: "
            f"{NAME_THE_ARCH}"
        )
    if kinds or found:
        return fitting
    if not (root / "dev/kfd").exists():
        raise NoImageFits(
            "there is no /dev/kfd: this machine has no AMD GPU, or its amdgpu driver is not "
            f"loaded; {NAME_THE_ARCH}"
        )
    raise NoImageFits(
        "/dev/kfd is there, but no GPU that has its render node in /dev/dri: in a container, pass "
        f"--device /dev/dri; else {NAME_THE_ARCH}"
    )


def of_this_machine(catalogue: Catalogue, root: Path) -> tuple[list[Device], list[Device]]:
    """The devices for which the catalogue has images, all of one gfx, and the others.

    Raises:
        NoImageFits: as `usable`, and there is no image for any of them.
    """
    images = {image.gfx: image.gpus for image in catalogue.images}
    found = devices(root)
    fitting = usable(found, root, images)
    if not fitting:
        known = "; ".join(f"{name} ({', '.join(names)})" for name, names in sorted(images.items()))
        kinds = [
            device.gfx + (f" ({device.name})" if device.name else "")
            for device, *_ in _by_gfx(found)
        ]
        raise NoImageFits(
            f"this machine's GPU is {' and '.join(kinds)}, and the catalogue has no image for it: "
            f"it has images for {known or 'no GPU at all'}"
        )
    return fitting, [device for device in found if device not in fitting]


def machine_notes(
    image: CatalogueEntry, fitting: Sequence[Device], others: Sequence[Device]
) -> Iterator[str]:
    """What someone should know who runs the image on this machine, each as a sentence."""
    if others:
        kinds = ", ".join(devices_in_words(of_kind) for of_kind in _by_gfx(others))
        nodes = " ".join(f"--device {device.node}" for device in fitting)
        yield (
            f"left out of account: {kinds}, for which there is no image. Give the container those "
            f"alone that it is for: {nodes} in place of --device /dev/dri."
        )
    if partitions_of(fitting) > 1:
        tensor = server_of(image.server).arguments.tensor[0]
        yield (
            f"this machine has {devices_in_words(fitting)}. The server's {tensor} counts devices, "
            "and each has a part of its GPU's dies: for whole GPUs, have the host set SPX (amd-smi "
            "set --compute-partition SPX)."
        )
    for name in sorted({device.name for device in fitting}):
        sold = name
        for suffix in NEVER_SOLD:
            sold = sold.replace(suffix, "")
        if sold and sold not in image.gpus:
            yield (
                f"this machine has {name}, which is {image.gfx} as well: the image was made with "
                f"{' and '.join(image.gpus)} in mind."
            )


def _by_gfx(found: Sequence[Device]) -> list[list[Device]]:
    kinds = dict.fromkeys(device.gfx for device in found)
    return [[device for device in found if device.gfx == kind] for kind in kinds]
