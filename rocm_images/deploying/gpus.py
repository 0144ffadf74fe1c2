"""Which AMD GPUs this machine has, by gfx, from the topology that the kernel's driver shows.

rocm-preflight, which every image runs when it starts, reads that topology; it is asked here, so
that a machine and a container on it cannot disagree.
"""

from __future__ import annotations

from pathlib import Path

from rocm_images.errors import NoImageFits
from rocm_images.places import ROOTFS
from rocm_images.supervisor import TookTooLong, supervisor

PREFLIGHT = ROOTFS / "usr/local/bin/rocm-preflight"
SECONDS = 10
"""The kernel's own files, of eight GPUs, are read in milliseconds."""
NAME_THE_ARCH = "name the GPU's arch with --arch instead"


def gfx_of_this_machine(root: Path = Path("/")) -> str:
    """The gfx that all GPUs of this machine have.

    Args:
        root: where sys and dev are.

    Raises:
        NoImageFits: there is no GPU, or there are GPUs of several kinds.
    """
    found = gpus(root)
    kinds = sorted(set(found))
    if len(kinds) > 1:
        counted = " and ".join(f"{found.count(kind)} of {kind}" for kind in kinds)
        raise NoImageFits(
            f"this machine has GPUs of several kinds, {counted}, and an image is for one: "
            f"{NAME_THE_ARCH}"
        )
    if kinds:
        return kinds[0]
    if not (root / "dev/kfd").exists():
        raise NoImageFits(
            "there is no /dev/kfd: this machine has no AMD GPU, or its amdgpu driver is not "
            f"loaded; {NAME_THE_ARCH}"
        )
    raise NoImageFits(
        "/dev/kfd is there, but no GPU that has its render node in /dev/dri: in a container, pass "
        f"--device /dev/dri; else {NAME_THE_ARCH}"
    )


def gpus(root: Path) -> list[str]:
    """The gfx of every GPU that can be used here.

    Raises:
        NoImageFits: what lies in sys and dev is not what a kernel shows.
    """
    words = ["sh", str(PREFLIGHT), "--root", str(root), "--gpus"]
    try:
        done = supervisor.run(words, seconds=SECONDS)
        why = f"ends rocm-preflight with {done.status}"
    except TookTooLong:
        why = f"takes longer than {SECONDS} s to read"
    else:
        if done.status == 0:
            return done.output.split()
    raise NoImageFits(
        f"what lies in {root / 'sys/class/kfd'} {why}, so it is no kernel's: {NAME_THE_ARCH}"
    )
