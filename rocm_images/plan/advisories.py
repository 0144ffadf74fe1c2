"""Which advisories apply to a cell, by version range and arch alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

from rocm_images.matrix.schema import Advisory


def captures_are_unsafe(advisories: Iterable[Advisory]) -> bool:
    """Whether one of them is of a runtime whose captures are not safe: what the guard is for.

    Not whether one sets the all-reduce: a fault of AITER's own sets it on a safe runtime, too.
    """
    return any(advisory.capture_guard for advisory in advisories)


def conflicts(advisories: tuple[Advisory, ...]) -> Iterator[tuple[Advisory, Advisory, str]]:
    """Pairs of advisories that set one variable differently, with the variable's name."""
    for first, second in combinations(advisories, 2):
        for variable in first.set.keys() & second.set.keys():
            if first.set[variable] != second.set[variable]:
                yield first, second, variable
