"""What a container may do beyond what one of a deployment may, by what the kernel says of it."""

from __future__ import annotations

import re

from rocm_images.engine.run_flags import SHARED_MEMORY_GIB

# https://github.com/torvalds/linux/blob/master/include/uapi/linux/capability.h
CAPABILITIES = {"SYS_PTRACE": 19, "SYS_ADMIN": 21, "SYS_NICE": 23}


def unlike_deployed(status: str, limits: str, shared_memory: str) -> list[str]:
    """What a container has that `run-args` does not give it, each as a sentence.

    Args:
        status: /proc/1/status.
        limits: /proc/1/limits.
        shared_memory: the size of /dev/shm in bytes.
    """
    said = dict(re.findall(r"^(\w+):\s+(\S+)$", status, re.MULTILINE))
    found = []
    if said.get("Seccomp") != "2":
        found.append("no profile of seccomp filters its system calls")
    if said.get("NoNewPrivs") != "1":
        found.append("its processes can get more privileges")
    given = int(said["CapBnd"], 16)
    found += [f"it has {name}" for name, bit in CAPABILITIES.items() if given >> bit & 1]
    if not re.search(r"^Max locked memory +unlimited +unlimited ", limits, re.MULTILINE):
        found.append("it may not lock all memory that it wants")
    if (size := int(shared_memory)) != SHARED_MEMORY_GIB << 30:
        found.append(f"its /dev/shm has {size} bytes: the host's, or too few")
    return found
