"""Starts the graph probe: `python -m graph_probe COMMAND`."""

import sys

if sys.version_info < (3, 10):  # noqa: UP036  (the sentence is for an older interpreter)
    sys.exit("graph-probe needs Python 3.10 or newer; this is " + sys.version.split()[0] + ".")

try:
    from graph_probe.command_line import main

    sys.exit(main(sys.argv[1:]))
except KeyboardInterrupt:  # before the supervisor hears signals, or after
    sys.exit(130)
