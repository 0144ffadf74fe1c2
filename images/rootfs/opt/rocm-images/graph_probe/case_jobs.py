"""The capture cases as jobs for processes: which there are, how many at once, with which device."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from graph_probe.cases import CASES, Kind, Observation

_VISIBLE = {
    "hip": ("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"),
    "cuda": ("CUDA_VISIBLE_DEVICES",),
}


class Job(NamedTuple):
    """A case by its index; `guarded`: its calls are made through the capture guard."""

    case: int
    guarded: bool


MUST_SURVIVE = [case for case, what in enumerate(CASES) if what.kind is Kind.MUST_SURVIVE]


def crashed(sentence: str) -> Observation:
    """What is seen of a case whose process did not come to its end."""
    return Observation(-1, -1, -1, False, -1, 0, sentence)


def parallel_cases() -> int:
    """How many processes of cases run at a time."""
    return max(2, min(8, len(os.sched_getaffinity(0))))


def first_device_only(backend: str, environment: Mapping[str, str]) -> dict[str, str]:
    """A case needs one device; a context on each of eight would cost it most of its time."""
    names = _VISIBLE[backend]
    given = {name: environment[name].split(",")[0] for name in names if environment.get(name)}
    return given or {names[0]: "0"}
