"""Starts the doctor: `python -m image_doctor [COMMAND]`."""

import sys

if sys.version_info < (3, 10):  # noqa: UP036  (the sentence is for an older interpreter)
    sys.stderr.write("image-doctor needs Python 3.10 or newer; this is older.\n")
    sys.exit(2)

try:
    from image_doctor.command_line import main

    sys.exit(main(sys.argv[1:]))
except KeyboardInterrupt:
    sys.exit(130)
