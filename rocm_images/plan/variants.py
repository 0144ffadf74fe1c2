"""Chooses, of the variants of a source, a pin or a setting, the first that fits a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from packaging.specifiers import SpecifierSet

from rocm_images.matrix.schema import Affected, Ranges, Variant

AnyVariant = TypeVar("AnyVariant", bound=Variant)


@dataclass(frozen=True)
class Versions:
    """What ranges ask about: what a cell is, and the versions of what goes into it."""

    server: str
    """The name of its inference server."""
    arch: str
    rocm: str
    python: str
    torch: str
    sources: Mapping[str, str]
    """As far as they are chosen."""

    @property
    def text(self) -> str:
        """As sentences name them."""
        parts = [f"rocm {self.rocm}", f"python {self.python}", f"torch {self.torch}"]
        own = self.sources.get(self.server)
        return ", ".join([*parts, f"{self.server} {own}"] if own else parts)


@cache
def contains(version_range: str, version: str) -> bool:
    """Whether a version is in a range."""
    # A pre-release of an affected version is affected as well.
    return SpecifierSet(version_range).contains(version, prereleases=True)


def _holds(version_range: str | None, version: str | None) -> bool:
    if version_range is None:
        return True
    return version is not None and contains(version_range, version)


def _base_fits(ranges: Ranges | Affected, versions: Versions) -> bool:
    return (
        (not ranges.archs or versions.arch in ranges.archs)
        and _holds(ranges.rocm, versions.rocm)
        and _holds(ranges.python, versions.python)
        and _holds(ranges.torch, versions.torch)
    )


def fits(ranges: Ranges, versions: Versions) -> bool:
    """Whether every range holds."""
    own = versions.sources.get(versions.server)
    return _base_fits(ranges, versions) and _holds(ranges.server, own)


def is_affected(ranges: Affected, versions: Versions) -> bool:
    """Whether every range holds, and the cell has every source that one is about."""
    own = versions.sources.get(versions.server)
    return (
        (not ranges.servers or versions.server in ranges.servers)
        and _holds(ranges.releases.get(versions.server), own)
        and _base_fits(ranges, versions)
        and all(_holds(one, versions.sources.get(name)) for name, one in ranges.sources.items())
    )


def first_that_fits(variants: Sequence[AnyVariant], versions: Versions) -> AnyVariant | None:
    """The first variant all of whose ranges hold."""
    return next((variant for variant in variants if fits(variant.fits, versions)), None)


def in_words(ranges: Ranges) -> str:
    """The ranges, as `python >=3.11, arch 950`; empty where there are none."""
    named = (("rocm", ranges.rocm), ("python", ranges.python), ("torch", ranges.torch))
    parts = [f"{name} {text}" for name, text in (*named, ("server", ranges.server)) if text]
    return ", ".join([*parts, *(f"arch {arch}" for arch in ranges.archs)])
