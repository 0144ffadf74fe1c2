"""Puts the images' packages and what other tests make up where these tests can import them."""

from __future__ import annotations

import sys
from pathlib import Path

PROJECT = Path(__file__).parents[3]
for folder in (
    PROJECT / "images" / "rootfs" / "opt" / "rocm-images",
    PROJECT / "rehearsal" / "sources" / "aiter",
    PROJECT / "tests" / "unit" / "image_doctor",
    PROJECT / "tests" / "unit" / "image_selftest",
    Path(__file__).parent,
):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
