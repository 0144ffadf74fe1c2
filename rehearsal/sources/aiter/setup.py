"""A stand-in for AITER: two small libraries in place of its prebuilt kernels."""

import os

from setuptools import Extension, setup

targets = os.environ.get("GPU_ARCHS", "native")
kernels = ("module_custom_all_reduce", "module_rmsnorm")
prebuilt = os.environ.get("PREBUILD_KERNELS") == "1"
setup(
    name="amd-aiter",
    packages=["aiter", "aiter.jit", "aiter_meta"],
    package_dir={"aiter_meta": "csrc"},
    package_data={"aiter_meta": ["*.cpp"]},
    ext_modules=[
        Extension(
            f"aiter.jit.{kernel}",
            ["csrc/kernel.cpp"],
            define_macros=[("STAND_IN_TARGET", f'"{targets}"')],
        )
        for kernel in kernels
    ]
    if prebuilt
    else [],
)
