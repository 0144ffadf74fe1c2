"""A stand-in for flash-attention: one small library with an empty code object for its GPU."""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

sys.path.insert(0, str(Path(__file__).parent))
from stand_in_code_objects import bundle_for

# The real one would try a download, and ask torch for the GPU of this machine, without these.
if os.environ.get("FLASH_ATTENTION_FORCE_BUILD") != "TRUE":
    sys.exit("FLASH_ATTENTION_FORCE_BUILD is not TRUE")
targets = os.environ["GPU_ARCHS"].split(";")
file = Path("build", "stand_in.hipfb").absolute()
file.parent.mkdir(exist_ok=True)
file.write_bytes(bundle_for(targets))
macros = {"STAND_IN_TARGET": ";".join(targets), "STAND_IN_BUNDLE": str(file)}

setup(
    name="flash_attn",
    version="2.8.3",
    packages=["flash_attn"],
    install_requires=["torch"],
    ext_modules=[
        Extension(
            "flash_attn_2_cuda",
            ["csrc/kernel.cpp"],
            define_macros=[(name, f'"{text}"') for name, text in macros.items()],
        )
    ],
)
