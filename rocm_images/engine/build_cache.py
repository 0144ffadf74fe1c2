"""The cache of build steps in a registry: the one thing that machines which build have in common.

https://docs.docker.com/build/cache/backends/registry/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rocm_images.matrix.schema import Layers
from rocm_images.recipe.compression import compression


@dataclass(frozen=True)
class BuildCache:
    """Where a cell's steps and units are taken from, by digest, and the tags that keep new ones."""

    sources: Sequence[str] = ()
    to: str | None = None
    units: str | None = None
    """The image, by digest, of what ccache had of the cell."""
    units_to: str | None = None
    """The tag that keeps what ccache has of it after a build, also after one that failed."""

    def arguments(self, layers: Layers | None) -> tuple[str, ...]:
        """Options of buildx. A registry that lacks a cache or refuses a new one fails no build.

        Args:
            layers: how those of the image are compressed, and so those of the cache: an image
                that is built from it elsewhere takes them as they are.
        """
        taken = (f"--cache-from=type=registry,ref={ref}" for ref in self.sources)
        if self.to is None:
            return tuple(taken)
        # mode=max: the stages that compile are in no layer of the image. image-manifest: not every
        # registry takes an index of other things than images.
        kept = ["type=registry", f"ref={self.to}", "mode=max", "image-manifest=true"]
        kept += ["ignore-error=true", *(compression(layers) if layers else ())]
        return (*taken, f"--cache-to={','.join(kept)}")
