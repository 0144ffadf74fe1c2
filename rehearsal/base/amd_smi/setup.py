"""A stand-in for the amdsmi Python package, whose source lies in /opt/rocm/share/amd_smi."""

from setuptools import setup

setup(name="amdsmi", version="26.2.0+standin", packages=["amdsmi"])
