"""Which advisories apply to a cell, by version range and arch alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import combinations

from packaging.specifiers import SpecifierSet

from rocm_images.matrix.schema import Advisory, Matrix


@cache
def _contains(version_range: str, version: str) -> bool:
    # A pre-release of an affected version is affected as well.
    return SpecifierSet(version_range).contains(version, prereleases=True)


def applies(advisory: Advisory, matrix: Matrix, arch: str, rocm: str) -> bool:
    """Whether all ranges of the advisory hold for the image of this arch and ROCm version."""
    affected = advisory.affected
    ranges = (
        (affected.rocm, rocm),
        (affected.sglang, matrix.sources.sglang.version),
        (affected.aiter, matrix.sources.aiter.version),
        (affected.torch, matrix.bases[rocm].torch),
    )
    return (not affected.archs or arch in affected.archs) and all(
        version_range is None or _contains(version_range, version)
        for version_range, version in ranges
    )


def applicable(matrix: Matrix, arch: str, rocm: str) -> tuple[Advisory, ...]:
    """The advisories of one cell, in the order of the matrix."""
    return tuple(a for a in matrix.advisories if applies(a, matrix, arch, rocm))


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
