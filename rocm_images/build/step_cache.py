"""Which registry tags keep the build steps of each cell."""

from __future__ import annotations

import re

from rocm_images.engine.build_cache import BuildCache
from rocm_images.errors import InputError
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.registry.address import RegistryAddress

_REPOSITORY = re.compile(r"[^/]+(/[a-z0-9._-]+)+")


def build_cache(matrix: Matrix, repository: str) -> dict[str, BuildCache]:
    """The cache of every cell of a matrix, by the cell's name: `REPOSITORY:<cell>`.

    Two builds that end at once would overwrite a tag that they shared, so each cell has its own;
    what no arch changes is found under the other cells of the same base.

    Raises:
        InputError: that is no repository.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise InputError(
            f"--cache {repository!r} is no repository: write HOST[:PORT]/PATH, in lower case and "
            "without a tag, for example registry.example.org/sglang-rocm-cache"
        )
    RegistryAddress.parse(repository)
    cells = cells_of(matrix)
    return {
        cell.name: BuildCache(
            f"{repository}:{cell.name}",
            [
                f"{repository}:{other.name}"
                for other in cells
                if other.rocm == cell.rocm and other is not cell
            ],
        )
        for cell in cells
    }
