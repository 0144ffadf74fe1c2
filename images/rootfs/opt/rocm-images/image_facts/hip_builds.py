"""Tells ROCm releases by the build in HIP's own version, by a table that the image carries.

HIP's version has the minor release of ROCm and a build number: 7.2.53211. Which patch releases a
build belongs to stands in `hip_builds` of matrix.yaml, with who says so, and so in image.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Release = tuple[int, ...]


def release_of(text: str) -> Release:
    """7.2.1 as numbers; 7.2 is 7.2.0. Raises ValueError where it is no release."""
    numbers = tuple(int(part) for part in text.split("."))
    return numbers + (0,) * (3 - len(numbers))


@dataclass(frozen=True)
class HipBuild:
    """One version of HIP, and the first and the last ROCm release that are known to have it."""

    hip: Release
    first: Release
    last: Release

    @classmethod
    def of(cls, hip: str, first: str, last: str) -> HipBuild:
        """Raises ValueError where one of them is no release."""
        return cls(release_of(hip), release_of(first), release_of(last))

    @property
    def text(self) -> str:
        """`ROCm 7.2.0`, or `ROCm 7.2.1 to 7.2.4`."""
        first, last = (".".join(map(str, release)) for release in (self.first, self.last))
        return f"ROCm {first}" if first == last else f"ROCm {first} to {last}"


def find(builds: Sequence[HipBuild], hip: Release) -> HipBuild | None:
    """The entry of a version of HIP, None where the table has none."""
    return next((build for build in builds if build.hip == hip), None)


def of_release(builds: Sequence[HipBuild], release: Release) -> HipBuild | None:
    """The newest entry that is not newer than a release: it has this build, or a later one."""
    earlier = [b for b in builds if b.first <= release and b.first[:2] == release[:2]]
    return max(earlier, key=lambda build: build.first, default=None)


def of_integer(version: int) -> Release:
    """What hipRuntimeGetVersion answers: 70253211 is HIP 7.2.53211."""
    return (version // 10_000_000, version // 100_000 % 100, version % 100_000)
