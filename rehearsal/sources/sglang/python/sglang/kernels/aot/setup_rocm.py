"""A stand-in for sgl-kernel: one small library that carries the name of its gfx target."""

import os
import sys

from setuptools import Extension, setup

target = os.environ.get("AMDGPU_TARGET", "gfx942")
if target not in ("gfx942", "gfx950"):
    sys.exit(f"unsupported AMDGPU_TARGET {target!r}")
setup(
    name="sglang-kernel",
    version="0.4.5+standin",
    packages=["sgl_kernel"],
    package_dir={"": "python"},
    ext_modules=[
        Extension(
            "sgl_kernel.common_ops",
            ["csrc/common_ops.cpp"],
            define_macros=[("STAND_IN_TARGET", f'"{target}"')],
        )
    ],
)
