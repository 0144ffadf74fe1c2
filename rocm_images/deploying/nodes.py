"""How many GPUs a server can have on one node, and under which name Kubernetes gives them out."""

from __future__ import annotations

import re

from rocm_images.errors import InputError

GPU_RESOURCE = "amd.com/gpu"
"""What AMD's device plugin calls GPUs, partitioned or not, unless it is told to name them by their
partitions: https://instinct.docs.amd.com/projects/k8s-device-plugin/en/latest/user-guide/configuration.html
"""
GPUS_OF_A_NODE = 8
"""No machine with these GPUs has more."""
_PARTITIONS = {"spx": 1, "dpx": 2, "tpx": 3, "qpx": 4, "cpx": 8}
_BY_PARTITION = re.compile(rf"amd\.com/({'|'.join(_PARTITIONS)})_nps\d")
# A domain, and a name of up to 63: what is not of Kubernetes itself has both.
_RESOURCE = re.compile(
    r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*"
    r"/[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
)


def check_resource(name: str) -> None:
    """Whether Kubernetes takes a name for what a device plugin gives out.

    Raises:
        InputError: it does not.
    """
    if not _RESOURCE.fullmatch(name) or len(name) > 253:
        raise InputError(
            f"{name!r} is no name of a resource: write one as AMD's device plugin has it, like "
            f"{GPU_RESOURCE} or amd.com/cpx_nps4 (kubectl describe node shows it)"
        )


def check_number(gpus: int, resource: str, per_node: int | None, several: str) -> None:
    """Whether one node can have so many GPUs, or partitions of them.

    Args:
        gpus: how many devices the server is to have.
        resource: the name of what they are.
        per_node: how many devices a node has, where someone said so.
        several: what to do for more than a node has.

    Raises:
        InputError: it cannot.
    """
    named = _BY_PARTITION.fullmatch(resource)
    most = per_node or GPUS_OF_A_NODE * (_PARTITIONS[named[1]] if named else 1)
    if gpus <= most:
        return
    split = (
        ""
        if named or per_node
        else "; where GPUs are partitioned, say what a node has: --gpu-resource amd.com/cpx_nps4 "
        "for a device plugin that names partitions, else --gpus-per-node 64"
    )
    raise InputError(
        f"--gpus {gpus}: a node has {most} at the most ({resource}), and this is a server on one "
        f"node: {several} (docs/deploying.md){split}"
    )
