"""Starts one container of the image under test and says what the matrix expects of it.

These tests are for users too: `build.py smoke --image REF` runs them on any image of the project.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
import testinfra
from testinfra.host import Host

from rocm_images.labels import PREFIX, labels_of
from rocm_images.matrix import Matrix
from rocm_images.matrix_file import load
from rocm_images.plan import Cell, cells_of
from rocm_images.selection import cell_named

# A container whose test run was killed ends by itself after this time.
CONTAINER_SECONDS = 1800


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("image under test")
    group.addoption("--image", help="reference or id of the image")
    group.addoption("--cell", help="the cell of the matrix that the image was built for")
    group.addoption("--matrix", type=Path, help="the matrix file")


@dataclass(frozen=True)
class ImageUnderTest:
    """One image and what the matrix expects of it."""

    reference: str
    matrix: Matrix
    cell: Cell

    @property
    def expected_labels(self) -> dict[str, str]:
        return labels_of(self.matrix, self.cell)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "image" not in metafunc.fixturenames:
        return
    options = metafunc.config.option
    if not (options.image and options.cell and options.matrix):
        raise pytest.UsageError(
            "these tests need an image: run `build.py smoke`, or `build.py smoke --image REF`"
        )
    matrix = load(options.matrix)
    cell = cell_named(cells_of(matrix), options.cell)
    image = ImageUnderTest(options.image, matrix, cell)
    metafunc.parametrize("image", [image], ids=[cell.name], scope="session")


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    client = docker.from_env(timeout=120)
    yield client
    client.close()


@pytest.fixture(scope="session")
def attributes(client: docker.DockerClient, image: ImageUnderTest) -> dict[str, Any]:
    """What `docker image inspect` says of the image."""
    found: dict[str, Any] = client.images.get(image.reference).attrs
    return found


@pytest.fixture(scope="session")
def host(client: docker.DockerClient, image: ImageUnderTest) -> Iterator[Host]:
    """A container of the image without network, started through the image's own entrypoint."""
    container = client.containers.run(
        image.reference,
        ["sleep", str(CONTAINER_SECONDS)],
        detach=True,
        auto_remove=True,
        network_mode="none",
        labels={PREFIX + "smoke": image.cell.name},
        # sleep as process 1 ignores the stop signal, and nothing in it needs a shutdown.
        stop_signal="SIGKILL",
    )
    try:
        yield testinfra.get_host(f"docker://{container.id}")
    finally:
        container.stop(timeout=0)
