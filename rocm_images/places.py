"""Where the parts of the project lie."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
TEMPLATES = PROJECT / "templates"
ROOTFS = PROJECT / "images" / "rootfs"
"""What is copied into every image."""
IMAGE_TESTS = PROJECT / "tests" / "image"
STATE = PROJECT / "build"
"""Rendered Dockerfiles, logs, evidence and the summary of runs."""
