"""Renders what runs a server: a command of docker, a compose file, or Kubernetes objects."""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from rocm_images import references
from rocm_images.deploying.arguments import check_arguments
from rocm_images.deploying.nodes import GPU_RESOURCE, check_number, check_resource
from rocm_images.engine.run_flags import (
    MODEL_CACHE,
    MODEL_VOLUME,
    SHARED_MEMORY_GIB,
    RunOptions,
    docker_run,
    run_flags,
    serving_command,
)
from rocm_images.errors import InputError
from rocm_images.recipe import templates
from rocm_images.servers import DEFAULT, Server

_PINNED = re.compile(rf"[A-Za-z0-9.:\[\]_/-]+@{references.DIGEST}")
# RFC 1035, as a Service's name has to be: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,50}[a-z0-9])?")
START_MINUTES = 60
"""How long a server may take to load its model and capture its graphs before it counts as dead."""
MODEL_CACHE_GIB = 500
"""What a cluster's volume for models is to hold."""


class Kind(str, enum.Enum):
    """What is rendered."""

    DOCKER = "docker"
    COMPOSE = "compose"
    KUBERNETES = "kubernetes"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Deployment:
    """One server of one model. `image` is a reference with a digest."""

    image: str
    model: str
    gpus: int
    name: str | None = None
    """What it is called; None: as the inference server."""
    port: int | None = None
    """None: the one that the inference server has of itself."""
    server: Server = DEFAULT
    arguments: tuple[str, ...] = ()
    """What the server is given besides."""
    gpu_resource: str = GPU_RESOURCE
    """What Kubernetes calls the GPUs."""
    gpus_per_node: int | None = None
    """How many devices a node has; None: as many as GPUs, or partitions of that name."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.server.name if self.name is None else self.name)
        object.__setattr__(self, "port", self.port or self.server.port)
        if not _PINNED.fullmatch(self.image):
            raise InputError(
                f"{self.image!r} has no digest: what is deployed is named by NAME@sha256:..., as "
                "`build.py pick` prints it"
            )
        if not self.model or not self.model.isprintable():
            raise InputError(f"{self.model!r} is no model: name one of a hub, or a folder")
        if not _NAME.fullmatch(self.name or ""):
            raise InputError(
                f"{self.name!r} is no name for a server: use up to 52 of a to z, 0 to 9 and -, "
                "beginning with a letter"
            )
        check_resource(self.gpu_resource)
        several = self.server.arguments.several_nodes
        check_number(self.gpus, self.gpu_resource, self.gpus_per_node, several)
        check_arguments(self.arguments, self.gpus, self.server)

    @property
    def command(self) -> tuple[str, ...]:
        """What the container runs."""
        port = self.port or self.server.port
        # Of an option that is there twice, a server takes the last.
        return (*serving_command(self.server, self.model, port, self.gpus), *self.arguments)


def rendered(deployment: Deployment, kind: Kind) -> str:
    """The file's text. No text of a user can break out of the value that it is written in."""
    if kind is Kind.DOCKER:
        flags = run_flags(RunOptions(deployment.port))
        return docker_run(flags, deployment.image, deployment.command) + "\n"
    # Each reads a variable where the other sees plain text.
    sign, doubled = ("$", "$$") if kind is Kind.COMPOSE else ("$(", "$$(")
    return from_template(
        f"{kind}.yaml.j2", deployment, lambda text: in_yaml(str(text).replace(sign, doubled))
    )


def in_yaml(value: object) -> str:
    """A text or a list of texts as YAML reads it: its double-quoted texts are those of JSON."""
    return json.dumps(value, ensure_ascii=False)


def from_template(
    name: str, deployment: Deployment, quoted: Callable[[object], str], **others: object
) -> str:
    """A template of templates/deploying/ for a deployment; each text in it goes through `quoted`.

    Raises:
        InputError: somebody's own template is wrong.
    """
    environment = templates.environment("deploying")
    environment.filters["quoted"] = quoted
    return templates.rendered(
        environment,
        name,
        deployment=deployment,
        model_cache=MODEL_CACHE,
        model_cache_gib=MODEL_CACHE_GIB,
        model_volume=MODEL_VOLUME,
        shared_memory_gib=SHARED_MEMORY_GIB,
        start_minutes=START_MINUTES,
        **others,
    )
