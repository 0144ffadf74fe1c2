"""Where the parts of the program lie, and the folder that it works in.

In a checkout both are the checkout. Installed, the parts lie in the package, laid out as in a
checkout, and the folder is the one that the command is called in.
"""

from __future__ import annotations

import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_PACKAGED = _PACKAGE / "parts"
INSTALLED = _PACKAGED.is_dir()
PARTS = _PACKAGED if INSTALLED else _PACKAGE.parent
"""What holds templates/, images/rootfs/, tests/image/, emulation/ and rehearsal/."""
if INSTALLED:
    # `rehearsal` is no name to take in everybody's site-packages.
    sys.path.append(str(PARTS))
TEMPLATES = PARTS / "templates"
ROOTFS = PARTS / "images" / "rootfs"
"""What is copied into every image."""
# The images' own packages: what they know and how they read is the same here.
sys.path.append(str(ROOTFS / "opt" / "rocm-images"))
IMAGE_TESTS = PARTS / "tests" / "image"
PROJECT = Path.cwd() if INSTALLED else PARTS
"""What holds matrix.yaml, unless another one is named, build/ and .cache/."""
STATE = PROJECT / "build"
"""Rendered Dockerfiles, logs, evidence and the summary of runs."""
