"""A stand-in for sgl-kernel: one small library with an empty code object for its gfx target."""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

sys.path.insert(0, str(Path(__file__).parent))
from stand_in_code_objects import bundle_for

target = os.environ.get("AMDGPU_TARGET", "gfx942")
if target not in ("gfx942", "gfx950"):
    sys.exit(f"unsupported AMDGPU_TARGET {target!r}")
bundle = Path("build", "stand_in", "common_ops.hipfb").absolute()
bundle.parent.mkdir(parents=True, exist_ok=True)
bundle.write_bytes(bundle_for([target]))
setup(
    name="sglang-kernel",
    version="0.4.5+standin",
    packages=["sgl_kernel"],
    package_dir={"": "python"},
    ext_modules=[
        Extension(
            "sgl_kernel.common_ops",
            ["csrc/common_ops.cpp"],
            define_macros=[
                ("STAND_IN_TARGET", f'"{target}"'),
                ("STAND_IN_BUNDLE", f'"{bundle}"'),
            ],
        )
    ],
)
