"""Which AMD GPUs this machine has, from the topology that the kernel's driver shows.

rocm-preflight, which every image runs when it starts, reads that topology; it is asked here, so
that a machine and a container on it cannot disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rocm_images.errors import NoImageFits
from rocm_images.places import ROOTFS
from rocm_images.streams import GivenUp, TookTooLong
from rocm_images.supervisor import supervisor
from rocm_images.telling import counted

PREFLIGHT = ROOTFS / "usr/local/bin/rocm-preflight"
SECONDS = 10.0
"""The kernel's own files, of eight GPUs in eight partitions each, are read in milliseconds."""
NAME_THE_ARCH = "name the GPU's arch with --arch instead"


@dataclass(frozen=True)
class Device:
    """What a program sees as one GPU: a whole one, or a partition of one."""

    gfx: str
    gpu: str
    """The same for all partitions of a GPU."""
    minor: int
    """The number of its render node."""
    partitions: int
    """How many devices the whole GPU is."""
    name: str
    """As it is sold, or where it sits; empty where that is not known."""

    @property
    def node(self) -> str:
        """Its render node."""
        return f"/dev/dri/renderD{self.minor}"


def devices(root: Path) -> list[Device]:
    """Every device that can be used on the machine whose sys and dev lie in `root`.

    Raises:
        NoImageFits: what lies in sys and dev is not what a kernel shows.
    """
    words = ["sh", str(PREFLIGHT), "--root", str(root), "--devices"]
    try:
        done = supervisor.run(words, seconds=SECONDS)
        why = f"ends rocm-preflight with {done.status}"
    except TookTooLong:
        why = f"takes longer than {SECONDS} s to read"
    except GivenUp as error:
        why = f"gives rocm-preflight {error}"
    else:
        if done.status == 0:
            return [_device(line) for line in done.output.splitlines()]
    raise NoImageFits(
        f"what lies in {root / 'sys/class/kfd'} {why}, so it is no kernel's: {NAME_THE_ARCH}"
    )


def _device(line: str) -> Device:
    gfx, gpu, minor, partitions, name = line.split("\t")
    return Device(gfx, gpu, int(minor), int(partitions), name)


def partitions_of(found: Sequence[Device]) -> int:
    """In how many partitions each GPU is; of one that is not known, its devices tell."""
    gpus = len({device.gpu for device in found})
    return max([device.partitions for device in found] + [len(found) // (gpus or 1)])


def devices_in_words(found: Sequence[Device]) -> str:
    """GPUs of one gfx: how many, what they are called, and that they are partitioned."""
    gpus = len({device.gpu for device in found})
    names = ", ".join(sorted({device.name for device in found if device.name}))
    text = f"{gpus} x {found[0].gfx}" + (f" ({names})" if names else "")
    split = partitions_of(found)
    if split == 1:
        return text
    return f"{text} in {split} partitions each: {counted(len(found), 'device')}"
