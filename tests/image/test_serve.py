"""The server itself decodes with captured graphs in the image, with the all-reduce it declares."""

from __future__ import annotations

from pathlib import Path

import docker
import pytest
from testinfra.host import Host

from conftest import ImageUnderTest, Probe, ProbeRun, leave

pytestmark = [pytest.mark.device, pytest.mark.serve]


@pytest.fixture(scope="session")
def serve(
    probe: Probe, client: docker.DockerClient, host: Host, request: pytest.FixtureRequest
) -> ProbeRun:
    """`graph-probe serve` as the image is; what it shows becomes part of the evidence."""
    done = probe("serve")
    path: Path = request.config.option.serve_result
    leave(path, done, client, host)
    return done


def test_the_server_passes_at_every_size(image: ImageUnderTest, serve: ProbeRun) -> None:
    assert serve.code == 0, serve.found["sentence"]
    assert serve.found["sizes"]


def test_the_server_takes_the_all_reduce_of_the_cell(
    image: ImageUnderTest, serve: ProbeRun
) -> None:
    assert serve.found["declared_all_reduce"] == image.cell.all_reduce


def test_the_installed_server_is_the_one_that_served(
    image: ImageUnderTest, serve: ProbeRun
) -> None:
    assert serve.found["versions"].items() >= image.cell.versions.items()
