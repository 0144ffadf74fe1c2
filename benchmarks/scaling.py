#!/usr/bin/env python3
"""What a large matrix costs, on paper: prints the table of docs/scaling.md.

Nothing here was measured on such a farm. A number is a fact with its source, an assumption, or
follows from these.
"""

from __future__ import annotations

from dataclasses import dataclass

# Facts.
BUILD_MINUTES = 46.0  # upstream's build for gfx950 without MORI and NIXL
BASE_GB = 10.39  # rocm/pytorch for ROCm 7.2.4, compressed
MATRIX_LIMIT = 256  # jobs of one matrix in a GitHub workflow run
# Assumptions. Gigabytes are compressed.
BASES, ARCHS, BUILDERS = 50, 8, 40
GPU_RUNNERS_PER_ARCH = 2
SHARED_SHARE = 0.25  # of the build's time, in steps that no arch changes
SHARED_GB = 2.0  # layers above the base that the archs of one base share
ARCH_GB = 3.0  # layers that are one arch's alone
CACHE_GB = 4.0  # steps of a cell that are in the cache and in no image
TEST_MINUTES = 10.0  # smoke test of one image on its GPUs, without getting it there
MACHINE_GB_PER_SECOND = 0.15  # what one machine pulls and unpacks; unpacking is the slow part
REGISTRY_GB_PER_SECOND = 3.1  # 25 Gbit/s, for all machines together
REQUEST_SECONDS = 0.05
REQUESTS_AT_ONCE = 8
PYTHON_SHARE = 0.20  # of the build's time, when only the Python part of the server is another one

CELLS = BASES * ARCHS
IMAGE_GB = BASE_GB + SHARED_GB + ARCH_GB


@dataclass(frozen=True)
class Scenario:
    """Which cells are built, and how much of each."""

    name: str
    bases: int
    """Bases whose cells are built."""
    archs: int
    """Archs that are built on each."""
    new_bases: int
    """Bases that the registry has nothing of."""
    alone: int
    """Cells that find nothing of their base's shared steps in the cache."""
    share: float
    """Of a build's time that the other cells have to spend."""
    own_gb: float
    """What each cell pushes that no other has."""

    @property
    def cells(self) -> int:
        """Cells that are built."""
        return self.bases * self.archs


OWN_GB = ARCH_GB + CACHE_GB
REST = 1 - SHARED_SHARE
SCENARIOS = (
    Scenario("nothing changed", 0, 0, 0, 0, 0.0, 0.0),
    Scenario("one base moved", 1, ARCHS, 1, ARCHS, REST, OWN_GB),
    Scenario("one arch added", BASES, 1, 0, 0, REST, OWN_GB),
    Scenario("the server's Python changed", BASES, ARCHS, 0, 0, PYTHON_SHARE, SHARED_GB),
    Scenario("everything, arch after arch", BASES, ARCHS, BASES, BASES, REST, OWN_GB),
    Scenario("everything, base after base", BASES, ARCHS, BASES, CELLS, REST, OWN_GB),
)


@dataclass(frozen=True)
class Cost:
    """What a scenario takes: hours, and terabytes through the registry."""

    build_hours: float
    test_hours: float
    pulled_tb: float
    pushed_tb: float
    registry_hours: float
    hours: float
    """Until all is done. Cells go on by themselves, so that builds and tests overlap: the slower
    of the two counts, and one job of the other."""


def cost(given: Scenario) -> Cost:
    """The cost of a scenario."""
    if not given.cells:
        return Cost(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    base_gb = BASE_GB if given.alone or given.share == REST else 0.0
    build = BUILD_MINUTES * (given.alone + (given.cells - given.alone) * given.share) / given.cells
    build += minutes(base_gb)
    # A machine with GPUs has neither base nor image: it tests one of another base each time.
    test = TEST_MINUTES + minutes(IMAGE_GB)
    build_hours = hours(given.cells, BUILDERS, build)
    test_hours = hours(given.cells, GPU_RUNNERS_PER_ARCH * given.archs, test)
    pulled = given.cells * (base_gb + IMAGE_GB) / 1000
    # A registry stores a layer once, whoever pushes it.
    pushed = (given.cells * given.own_gb + given.new_bases * (BASE_GB + SHARED_GB)) / 1000
    registry_hours = (pulled + pushed) * 1000 / REGISTRY_GB_PER_SECOND / 3600
    done = max(build_hours + test / 60, test_hours + build / 60, registry_hours)
    return Cost(build_hours, test_hours, pulled, pushed, registry_hours, done)


def minutes(gigabytes: float) -> float:
    """To pull and unpack compressed gigabytes on one machine."""
    return gigabytes / MACHINE_GB_PER_SECOND / 60


def hours(cells: int, machines: int, job: float) -> float:
    """Hours until `machines` have done `cells` jobs of `job` minutes each, in whole rounds."""
    return -(-cells // machines) * job / 60


def stored_tb() -> float:
    """Terabytes in the registry when every layer is stored once."""
    return (BASES * (BASE_GB + SHARED_GB) + CELLS * (ARCH_GB + CACHE_GB)) / 1000


def report() -> str:
    """The tables of docs/scaling.md."""
    lines = [
        "| what happens | cells | build, h | test, h | pulled, TB | pushed, TB | registry, h "
        "| done after, h |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for given in SCENARIOS:
        found = cost(given)
        numbers = (
            *(found.build_hours, found.test_hours, found.pulled_tb, found.pushed_tb),
            *(found.registry_hours, found.hours),
        )
        texts = [f"{number:.1f}" for number in numbers]
        lines.append(f"| {given.name} | {given.cells} | {' | '.join(texts)} |")
    asking = CELLS / REQUESTS_AT_ONCE * REQUEST_SECONDS
    unshared = CELLS * (IMAGE_GB + CACHE_GB) / 1000
    lines += [
        "",
        f"- An image has {IMAGE_GB:.1f} GB compressed, {BASE_GB} GB of it the base.",
        f"- To find out what is missing: {CELLS} requests, {asking:.1f} s.",
        f"- Stored after the first run: {stored_tb():.1f} TB, {CELLS * CACHE_GB / 1000:.1f} TB of "
        f"it cache; {unshared:.1f} TB if no layer were shared.",
        f"- GitHub takes {MATRIX_LIMIT} cells a run: {-(-CELLS // MATRIX_LIMIT)} runs for all.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    print(report())
