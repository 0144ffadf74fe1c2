"""A stand-in for fast-hadamard-transform: one library with an empty code object."""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

sys.path.insert(0, str(Path(__file__).parent))
from stand_in_code_objects import bundle_for

# The real one would try a download, and look for CUDA, without this.
if os.environ.get("FAST_HADAMARD_TRANSFORM_FORCE_BUILD") != "TRUE":
    sys.exit("FAST_HADAMARD_TRANSFORM_FORCE_BUILD is not TRUE")
targets = os.environ["PYTORCH_ROCM_ARCH"].split(";")
file = Path("build", "stand_in.hipfb").absolute()
file.parent.mkdir(exist_ok=True)
file.write_bytes(bundle_for(targets))
macros = {"STAND_IN_TARGET": ";".join(targets), "STAND_IN_BUNDLE": str(file)}

setup(
    name="fast-hadamard-transform",
    version="1.0.4.post1",
    packages=["fast_hadamard_transform"],
    ext_modules=[
        Extension(
            "fast_hadamard_transform_cuda",
            ["csrc/kernel.cpp"],
            define_macros=[(name, f'"{text}"') for name, text in macros.items()],
        )
    ],
)
