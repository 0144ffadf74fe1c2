"""Makes offload bundles as a HIP compiler does, whose code objects hold no code.

Each code object is an ELF header alone, with the machine and the processor of a GPU: enough to tell
which GPU a library was built for. The layout is clang's (ClangOffloadBundler, "Bundled Binary File
Layout"), the numbers are LLVM's (AMDGPUUsage, "ELF Code Object").
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

HOST_ENTRY = "host-x86_64-unknown-linux-gnu-"
ALIGNMENT = 4096
EM_AMDGPU = 224
ELFOSABI_AMDGPU_HSA, CODE_OBJECT_V6 = 64, 4
# EF_AMDGPU_MACH_AMDGCN_*, with xnack and sramecc "any" as a compiler sets them by default.
E_FLAGS = {"gfx90a": 0x53F, "gfx942": 0x54C, "gfx950": 0x54F, "gfx9-4-generic": 0x100055F}


def code_object(gfx: str) -> bytes:
    """The ELF header of a shared object for `gfx`. Raises KeyError for an unknown one."""
    identity = struct.pack("<4s5B7x", b"\x7fELF", 2, 1, 1, ELFOSABI_AMDGPU_HSA, CODE_OBJECT_V6)
    return identity + struct.pack(
        "<HHIQQQIHHHHHH", 3, EM_AMDGPU, 1, 0, 0, 0, E_FLAGS[gfx], 64, 56, 0, 64, 0, 0
    )


def bundle(entries: Sequence[tuple[str, bytes]]) -> bytes:
    """A plain bundle of (entry id, code object); the entry of the host comes first and is empty."""
    placed = []
    place = ALIGNMENT
    for name, content in [(HOST_ENTRY, b""), *entries]:
        placed.append((place, content, name.encode()))
        place += -(-len(content) // ALIGNMENT) * ALIGNMENT
    made = b"__CLANG_OFFLOAD_BUNDLE__" + struct.pack("<Q", len(placed))
    for offset, content, identity in placed:
        made += struct.pack("<QQQ", offset, len(content), len(identity)) + identity
    for offset, content, _ in placed:
        made = made.ljust(offset, b"\0") + content
    return made


def bundle_for(targets: Sequence[str]) -> bytes:
    """A plain bundle with a code object for each gfx."""
    return bundle([(f"hipv4-amdgcn-amd-amdhsa--{gfx}", code_object(gfx)) for gfx in targets])


def compressed(plain: bytes) -> bytes:
    """The bundle as clang's --offload-compress makes it (version 3, here with zlib)."""
    data = zlib.compress(plain)
    header = struct.pack("<4sHHQQQ", b"CCOB", 3, 0, 32 + len(data), len(plain), 0)
    return header + data
