"""What an AMD GPU code object says of its target: the ELF header's machine and e_flags.

Source: LLVM's AMDGPUUsage, "ELF Code Object" (tables of ELF header flags and of processors),
https://llvm.org/docs/AMDGPUUsage.html. The numbers were compared with
what LLVM 22 writes and with the libraries of a bitsandbytes wheel.
"""

from __future__ import annotations

import re

EM_AMDGPU = "EM_AMDGPU"
_MACH_MASK = 0xFF  # EF_AMDGPU_MACH
# EF_AMDGPU_MACH_AMDGCN_*: the targets that ROCm 6 and 7 build for.
GFX_OF_MACH = {
    0x02C: "gfx900",
    0x02F: "gfx906",
    0x030: "gfx908",
    0x032: "gfx90c",
    0x033: "gfx1010",
    0x034: "gfx1011",
    0x035: "gfx1012",
    0x036: "gfx1030",
    0x037: "gfx1031",
    0x038: "gfx1032",
    0x039: "gfx1033",
    0x03D: "gfx1035",
    0x03E: "gfx1034",
    0x03F: "gfx90a",
    0x041: "gfx1100",
    0x043: "gfx1150",
    0x044: "gfx1103",
    0x045: "gfx1036",
    0x046: "gfx1101",
    0x047: "gfx1102",
    0x048: "gfx1200",
    0x049: "gfx1250",
    0x04A: "gfx1151",
    0x04C: "gfx942",
    0x04E: "gfx1201",
    0x04F: "gfx950",
    0x051: "gfx9-generic",
    0x052: "gfx10-1-generic",
    0x053: "gfx10-3-generic",
    0x054: "gfx11-generic",
    0x055: "gfx1152",
    0x058: "gfx1153",
    0x059: "gfx12-generic",
    0x05A: "gfx1251",
    0x05F: "gfx9-4-generic",
}
# Generic targets of the GPUs that these images are for, and the GPUs that each one runs on.
COVERED_BY_GENERIC = {"gfx9-4-generic": {"gfx940", "gfx941", "gfx942", "gfx950"}}
# The end of a bundle entry's id: a processor, then target features such as :sramecc+:xnack-.
_TARGET_ID = re.compile(r"(gfx[0-9a-f]+(?:-[0-9]+)*(?:-generic)?)((?::[a-z]+[+-])*)$")


def gfx_of_flags(e_flags: int) -> str:
    """The processor of an ELF header's e_flags; an unknown one by its number."""
    mach = e_flags & _MACH_MASK
    return GFX_OF_MACH.get(mach, f"an unknown processor (EF_AMDGPU_MACH 0x{mach:03x})")


def gfx_of_entry(entry_id: str) -> str | None:
    """The processor in a bundle entry's id, such as hipv4-amdgcn-amd-amdhsa--gfx942:xnack-.

    None where the id names no AMD processor (SPIR-V, for one).
    """
    match = _TARGET_ID.search(entry_id)
    return match.group(1) if match else None


def runs_on(target: str, gfx: str) -> bool:
    """Whether code for `target`, a processor or a generic target, runs on `gfx`."""
    return target == gfx or gfx in COVERED_BY_GENERIC.get(target, ())
