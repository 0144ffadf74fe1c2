"""A stand-in for PyPI's wheel of CMake: the program that vLLM's build looks for."""

from setuptools import setup

setup(
    name="cmake",
    version="3.31.10",
    py_modules=["stand_in_cmake"],
    entry_points={"console_scripts": ["cmake=stand_in_cmake:main"]},
)
