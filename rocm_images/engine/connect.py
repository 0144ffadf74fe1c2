"""Finds the Docker Engine and buildx, and says what to install when they cannot be used."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version

from rocm_images import telling
from rocm_images.engine.patience import Patience
from rocm_images.errors import EngineError

if TYPE_CHECKING:
    import docker

# BuildKit with named contexts that replace stages, and ADD of a git commit.
# https://docs.docker.com/build/building/context/
MINIMUM_ENGINE = Version("23.0")
_INSTALL = "install Docker Engine 23 or later with buildx (https://docs.docker.com/engine/install/)"
_REHEARSE = "to try the pipeline without one, as root on Debian or Ubuntu: make rehearse"


@dataclass(frozen=True)
class Engine:
    """A Docker Engine that answers."""

    address: str
    version: Version
    api: str
    """The newest version of the API that it speaks; naming it saves a question per client."""
    environment: Mapping[str, str]
    """The environment of every child process that talks to this engine."""

    def client(self) -> docker.DockerClient:
        """A new client of the engine; close it after use.

        What it asks raises EngineError where the engine does not answer for a minute.
        """
        from rocm_images.engine.client import Client

        return Client(self.address, self.api)

    @property
    def patience(self) -> Patience:
        """What waits for this engine."""
        return Patience(self.address)


def connect(environment: Mapping[str, str] | None = None) -> Engine:
    """The engine that `environment` (by default this process's) names by DOCKER_HOST or context.

    Raises:
        EngineError: no engine answers, or it is too old.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    from rocm_images.engine.client import Client

    environment = dict(os.environ if environment is None else environment)
    address = environment.get("DOCKER_HOST") or _context_address()
    _check_socket(address)
    try:
        client = Client(address)
        answer = client.version()
        client.close()
    except (DockerException, RequestException) as error:
        if isinstance(error.__cause__, EngineError):
            raise error.__cause__ from None
        raise EngineError(_no_answer(address, error)) from None
    environment["DOCKER_HOST"] = address
    version_text = str(answer["Version"])
    version = version_in(version_text)
    if version < MINIMUM_ENGINE:
        raise EngineError(
            f"the Docker Engine at {address} is version {version_text}, too old: {_INSTALL}"
        )
    telling.decided(f"engine: Docker Engine {version_text} at {address}")
    return Engine(address, version, client.api.api_version, environment)


def _context_address() -> str:
    """The address of the current docker context, which the SDK does not use by itself."""
    from docker.context import ContextAPI

    try:
        context = ContextAPI.get_current_context()
        address = context.Host if context else None
    # The SDK believes what Docker's files say: what they must not say meets it as anything.
    except Exception:
        address = None
    return address if address and isinstance(address, str) else "unix:///var/run/docker.sock"


def _check_socket(address: str) -> None:
    """Tries a unix socket by itself: the SDK's own answer hides what is wrong with it."""
    if not address.startswith("unix://"):
        return
    try:
        with socket.socket(socket.AF_UNIX) as attempt:
            attempt.connect(address.removeprefix("unix://"))
    except OSError as error:
        reason = {
            errno.ENOENT: "nothing listens there",
            errno.ECONNREFUSED: "the connection was refused",
            errno.EACCES: "permission denied: join the group docker, or become root",
        }.get(error.errno or 0, str(error))
        raise EngineError(_no_answer(address, reason)) from None


def _no_answer(address: str, reason: object) -> str:
    return f"no Docker Engine answers at {address} ({reason}): start it, or {_INSTALL}; {_REHEARSE}"


def version_in(text: str) -> Version:
    """The first version in a text, or 0."""
    match = re.search(r"\d+(\.\d+)+", text)
    return Version(match.group()) if match else Version("0")
