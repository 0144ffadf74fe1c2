#!/usr/bin/env python3
"""Build, test and publish images of inference servers for AMD GPUs: `python build.py --help`."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    if sys.version_info < (3, 10):  # noqa: UP036 - the one file that an older one can start
        sys.stderr.write("build.py: Python 3.10 or later is needed: run it with python3.11, say\n")
        sys.exit(3)
    try:
        from rocm_images.start import run

        run()
    except KeyboardInterrupt:
        # It came before `run` had begun: nothing is there yet that would have to end.
        os._exit(130)
