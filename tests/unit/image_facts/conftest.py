"""Puts the images' packages where the tests can import them."""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGES = Path(__file__).parents[3] / "images" / "rootfs" / "opt" / "rocm-images"
if str(PACKAGES) not in sys.path:
    sys.path.insert(0, str(PACKAGES))
