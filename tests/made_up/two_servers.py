"""A matrix with a second server that has the cells of the first. No such image can be built."""

from __future__ import annotations

from dataclasses import replace

from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.servers import SERVERS

SECOND = "vllm"


def with_second_server(matrix: Matrix) -> tuple[Matrix, tuple[Cell, ...]]:
    """The matrix, and its cells followed by the same ones of the second server."""
    first = matrix.servers[matrix.default_server]
    repository = f"{SECOND}-rocm"
    second = first.model_copy(update={"default": False, "repository": repository})
    cells = [cell for cell in cells_of(matrix) if cell.server.name == matrix.default_server]
    others = [
        replace(
            cell,
            name=f"{SECOND}-{cell.arch}-rocm{cell.rocm}",
            server=SERVERS[SECOND],
            repository=repository,
            sources={**cell.sources, SECOND: cell.sources[cell.server.name]},
        )
        for cell in cells
    ]
    servers = {matrix.default_server: first, SECOND: second}
    return matrix.model_copy(update={"servers": servers}), (*cells, *others)
