#!/usr/bin/env python3
"""Build, test and publish SGLang images for AMD GPUs: `python build.py --help`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    if sys.version_info < (3, 10):  # noqa: UP036 - the one file that an older one can start
        sys.stderr.write("build.py: Python 3.10 or later is needed: run it with python3.11, say\n")
        sys.exit(3)
    try:
        from rocm_images.cli.main import run
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"build.py: the Python package {error.name} is missing: run `make environment` and "
            "use .venv/bin/python, or run `pip install -r requirements.txt`\n"
        )
        sys.exit(3)
    run()
