"""A stand-in for vLLM: its build interface on AMD GPUs, small libraries with empty code objects.

What the real build would fail without, or go to the network for, ends this one.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from packaging.version import Version
from setuptools import Extension, setup

sys.path.insert(0, str(Path(__file__).parent))
from stand_in_code_objects import bundle_for

# As in upstream's CMakeLists.txt: CMake's targets of the ROCm build.
LIBRARIES = ("_C", "_moe_C", "_rocm_C")


def requirements(name: str) -> list[str]:
    """What a file of requirements/ asks for, with those that it names."""
    found = []
    for line in Path("requirements", name).read_text().splitlines():
        if line.startswith("-r "):
            found += requirements(line.split()[1])
        elif line and not line.startswith("#"):
            found.append(line.split("  #")[0])
    return found


if os.environ.get("VLLM_TARGET_DEVICE") != "rocm":
    sys.exit("VLLM_TARGET_DEVICE is not rocm")
subprocess.run(["cmake", "--version"], check=True)
version = os.environ["VLLM_VERSION_OVERRIDE"]
# The tree of a release, in place of the part that came later.
for since in sorted(Path().glob("since-*")):
    if Version(version) >= Version(since.name.removeprefix("since-")):
        shutil.copytree(since, ".", dirs_exist_ok=True)
kernels = Path("vllm", "third_party", "triton_kernels")
shutil.copytree(os.environ["TRITON_KERNELS_SRC_DIR"], kernels)

targets = os.environ["PYTORCH_ROCM_ARCH"].split(";")
bundle = Path("build", "stand_in.hipfb").absolute()
bundle.parent.mkdir(exist_ok=True)
bundle.write_bytes(bundle_for(targets))
macros = {"STAND_IN_TARGET": ";".join(targets), "STAND_IN_BUNDLE": str(bundle)}
setup(
    name="vllm",
    version=version,
    packages=["vllm", "vllm.third_party.triton_kernels"],
    install_requires=requirements("rocm.txt"),
    ext_modules=[
        Extension(
            f"vllm.{name}",
            ["csrc/kernel.cpp"],
            define_macros=[(macro, f'"{text}"') for macro, text in macros.items()],
        )
        for name in LIBRARIES
    ],
)
