"""A stand-in for the torch of rocm/pytorch: it has a version and says that it is for HIP."""

import os
from pathlib import Path

from setuptools import setup

rocm, version = os.environ["ROCM_VERSION"], os.environ["TORCH_VERSION"]
Path("torch/version.py").write_text(
    f'__version__ = "{version}"\nhip = "{rocm}-stand-in"\ncuda = None\n'
)
setup(name="torch", version=version, packages=["torch"])
