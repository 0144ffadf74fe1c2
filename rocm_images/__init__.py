"""The program behind build.py: one module for each step from matrix.yaml to tested images."""

__version__ = "0.1.0"
