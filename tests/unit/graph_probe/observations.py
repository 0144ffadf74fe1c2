"""What a case can be seen to do.

A module of its own: `conftest` is the name of more than one, and names one of them at a time.
"""

from graph_probe.cases import Observation

SURVIVED = Observation(0, 1, 0, True, 11, 11)
KILLED = Observation(900, 2, 901, False, -1, 11)
CAPTURED_EVENT = Observation(907, 2, 901, False, -1, 11)
