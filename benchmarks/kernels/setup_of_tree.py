"""Builds a wheel of real kernels by the interface of AITER's setup.py.

As there, ROCm's hipcc is called by its whole path with flags as AITER gives it, MAX_JOBS at once.
"""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import setup

HIPCC = f"{os.environ.get('ROCM_HOME', '/opt/rocm')}/bin/hipcc"
FLAGS = (
    *("-DWITH_HIP", "-D__HIP_PLATFORM_AMD__=1", "-DUSE_ROCM=1", "-fPIC", "-O3", "-std=c++17"),
    *("-fgpu-flush-denormals-to-zero", "-fno-gpu-rdc", "-ffast-math"),
    *("-mllvm", "--amdgpu-kernarg-preload-count=16"),
)
ARCHS = tuple(f"--offload-arch={gfx}" for gfx in os.environ["GPU_ARCHS"].split(";"))
MADE = Path("build", "kernels").absolute()
LIBRARY = Path("aiter", "jit", "kernels.so")


def compiled(source: Path) -> str:
    """The object of one kernel."""
    target = str(MADE / f"{source.stem}.cuda.o")
    command = [HIPCC, *FLAGS, *ARCHS, "-c", str(source.absolute()), "-o", target]
    subprocess.run(command, check=True)
    return target


if not LIBRARY.exists():
    MADE.mkdir(parents=True)
    with ThreadPoolExecutor(int(os.environ.get("MAX_JOBS") or os.cpu_count() or 1)) as pool:
        objects = list(pool.map(compiled, sorted(Path("kernels").glob("*.cu"))))
    link = [HIPCC, "-shared", "-fno-gpu-rdc", *ARCHS, *objects, "-o", str(LIBRARY)]
    subprocess.run(link, check=True)

setup(
    name="amd-aiter",
    packages=["aiter", "aiter.jit", "aiter_meta"],
    package_dir={"aiter_meta": "csrc"},
    package_data={"aiter_meta": ["*.cpp"], "aiter.jit": ["kernels.so"]},
)
