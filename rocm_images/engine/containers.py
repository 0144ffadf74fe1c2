"""Containers that are removed when their work is done, whatever ends it."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rocm_images.recipe.labels import PREFIX
from rocm_images.supervisor import supervisor

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

    from rocm_images.engine.connect import Engine

RUN = PREFIX + "run"
"""The label of every container: of which run it is."""
RUN_VARIABLE = "ROCM_IMAGES_RUN"
"""By it a child process is told of which run it is, so that its parent finds what it left."""
_LOOK_SECONDS = 0.2
_MOST_LOOKS = 100


def run_label() -> dict[str, str]:
    """The label of a container that this process makes."""
    return {RUN: os.environ.get(RUN_VARIABLE) or str(os.getpid())}


@contextmanager
def container(
    client: docker.DockerClient,
    image: str,
    command: list[str],
    *,
    labels: Mapping[str, str],
    **options: Any,
) -> Iterator[Container]:
    """A container, not started yet, that is removed with the block or the run.

    Raises: see `containers.create` of the SDK; also Stopped.
    """
    name = f"rocm-images-{uuid.uuid4().hex}"

    def make() -> Container:
        own = {**labels, **run_label()}
        return client.containers.create(image, command, name=name, labels=own, **options)

    with supervisor.undone(make, lambda: _remove(client, name)) as made:
        yield made


def run_to_its_end(engine: Engine, made: Container, seconds: float) -> int:
    """Start a container; returns the status with which it ended.

    It is waited for and not attached to: an engine sends nothing of one that has ended already, and
    whoever is attached then waits for ever. What it said is in its logs.

    Raises:
        TookTooLong: it did not end within `seconds`.
        EngineError: the engine does not answer any more.
        DockerException, RequestException: it cannot be started, or the engine failed.
    """
    client = made.client
    assert client is not None
    made.start()
    waited = (made.wait(timeout=seconds + client.api.timeout) for _ in (1,))
    (ended,) = engine.patience.each(waited, seconds)
    return int(ended["StatusCode"])


def remove_all(engine: Engine, run: str) -> None:
    """Remove every container of a run that has ended."""
    client = engine.client()
    try:
        for look in range(_MOST_LOOKS):
            # The SDK's list of objects asks for each again, and fails where one is gone by then.
            found = client.api.containers(all=True, filters={"label": f"{RUN}={run}"})
            for one in found:
                _remove(client, one["Id"])
            # The engine may still make what a killed process asked it for.
            if not found and (look or not supervisor.stopping):
                return
            time.sleep(_LOOK_SECONDS)
    finally:
        client.close()


def _remove(client: docker.DockerClient, name: str) -> None:
    from docker.errors import APIError

    try:
        client.api.remove_container(name, v=True, force=True)
    except APIError as error:
        # It is gone, or being removed by another thread.
        if error.status_code not in (404, 409):
            raise
