"""A stand-in for AITER: small libraries with empty code objects in place of its kernels."""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

sys.path.insert(0, str(Path(__file__).parent))
from stand_in_code_objects import E_FLAGS, bundle_for, compressed

KERNELS = (
    "module_activation",
    "module_cache",
    "module_custom_all_reduce",
    "module_moe_sorting",
    "module_quant",
    "module_rmsnorm",
)
# A real build may compress: the reader must know both.
COMPRESSED = "module_quant"


def libraries() -> list[Extension]:
    """One for each kernel, with a code object for each GPU that GPU_ARCHS names."""
    targets = os.environ.get("GPU_ARCHS", "").split(";")
    unknown = [target for target in targets if target not in E_FLAGS]
    if unknown:
        sys.exit(
            f"GPU_ARCHS names {unknown[0] or 'no GPU'}; the stand-in knows {', '.join(E_FLAGS)}"
        )
    folder = Path("build", "stand_in").absolute()
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for kernel in KERNELS:
        plain = bundle_for(targets)
        file = folder / f"{kernel}.hipfb"
        file.write_bytes(compressed(plain) if kernel == COMPRESSED else plain)
        macros = {"STAND_IN_TARGET": ";".join(targets), "STAND_IN_BUNDLE": str(file)}
        quoted = [(name, f'"{text}"') for name, text in macros.items()]
        sources = ["csrc/kernel.cpp", "csrc/host.cpp"]
        made.append(Extension(f"aiter.jit.{kernel}", sources, define_macros=quoted))
    return made


setup(
    name="amd-aiter",
    packages=["aiter", "aiter.jit", "aiter_meta"],
    package_dir={"aiter_meta": "csrc"},
    package_data={"aiter_meta": ["*.cpp"]},
    ext_modules=libraries() if os.environ.get("PREBUILD_KERNELS") == "1" else [],
)
