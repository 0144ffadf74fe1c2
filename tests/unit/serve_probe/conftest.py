"""Puts the images' packages, the raw logs and their maker where the tests can import them."""

from __future__ import annotations

import sys
from pathlib import Path

PROJECT = Path(__file__).parents[3]
for folder in (
    PROJECT / "images" / "rootfs" / "opt" / "rocm-images",
    PROJECT / "docs",
    PROJECT / "tests" / "data",
    Path(__file__).parent,
):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
