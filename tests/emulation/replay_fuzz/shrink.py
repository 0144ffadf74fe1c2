"""Makes a run that fails smaller, as long as it fails in the same way."""

from __future__ import annotations

import time

from one_run import Result, Run

# One after the other; what does not help is left out again.
SIMPLER = [
    {"steps": 8},
    {"steps": 40},
    {"set_params": 0, "exec_update": 0, "again": 0},
    {"children": 0},
    {"copies": 0},
    {"large": 0},
    {"graphs": 1},
    {"graphs": 2},
    {"nodes": 12},
    {"nodes": 40},
    {"streams": 2},
    {"streams": 3},
]


def shrink(run: Run, result: Result, limit: float, seconds: float, tries: int = 2) -> Run:
    """Return the smallest run found within `seconds` that has the same outcome.

    A fault may show by chance: a simpler run must show it in each of `tries` processes, so that
    what is told shows it again.
    """
    ends = time.monotonic() + seconds
    smallest = run
    for simpler in SIMPLER:
        if time.monotonic() > ends:
            break
        if any(name in smallest.options for name in simpler):
            continue
        candidate = smallest.with_options(**simpler)
        if all(candidate.carry_out(limit).outcome is result.outcome for _ in range(tries)):
            smallest = candidate
    return smallest
