"""The cache of build steps in a registry: the one thing that machines which build have in common.

https://docs.docker.com/build/cache/backends/registry/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class BuildCache:
    """Where one cell's steps are kept, and where else some of them may be."""

    own: str
    others: Sequence[str]

    @property
    def arguments(self) -> tuple[str, ...]:
        """Options of buildx. A registry that lacks a cache or refuses a new one fails no build."""
        # mode=max: the stages that compile are in no layer of the image. image-manifest: not every
        # registry takes an index of other things than images.
        to = f"type=registry,ref={self.own},mode=max,image-manifest=true,ignore-error=true"
        return (
            *(f"--cache-from=type=registry,ref={ref}" for ref in (self.own, *self.others)),
            f"--cache-to={to}",
        )
