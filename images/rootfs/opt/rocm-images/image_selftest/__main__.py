"""Starts the self-test: `python -m image_selftest --output FILE`."""

import sys

from image_selftest.command_line import main

sys.exit(main(sys.argv[1:]))
