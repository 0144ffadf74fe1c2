#!/usr/bin/env python3
"""Build, test and publish SGLang images for AMD GPUs: `python build.py --help`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    try:
        from rocm_images.command_line import run
    except ModuleNotFoundError as error:
        print(
            f"build.py: the Python package {error.name} is missing: run `make environment` and "
            "use .venv/bin/python, or run `pip install -r requirements.txt`",
            file=sys.stderr,
        )
        sys.exit(3)
    run()
