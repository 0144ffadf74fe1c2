"""A stand-in for the torch of rocm/pytorch: it has a version and says that it is for HIP."""

import os
from pathlib import Path

from setuptools import setup

rocm = os.environ["ROCM_VERSION"]
Path("torch/version.py").write_text(
    f'__version__ = "2.9.1+rocm{rocm}.standin"\nhip = "{rocm}-stand-in"\ncuda = None\n'
)
setup(name="torch", version=f"2.9.1+rocm{rocm}.standin", packages=["torch"])
