"""Finds the Docker Engine and buildx, and says what to install when they cannot be used."""

from __future__ import annotations

import errno
import os
import re
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version

from rocm_images.errors import EngineError

if TYPE_CHECKING:
    import docker

# Named contexts that replace stages, and ADD of a git commit, need these.
# https://docs.docker.com/build/building/context/
MINIMUM_ENGINE = Version("23.0")
MINIMUM_BUILDX = Version("0.10")
_INSTALL = "install Docker Engine 23 or later with buildx (https://docs.docker.com/engine/install/)"
_REHEARSE = "to try the pipeline without one, as root on Debian or Ubuntu: make rehearse"


@dataclass(frozen=True)
class Engine:
    """A Docker Engine that answers and a buildx that works with it."""

    address: str
    version: Version
    buildx: tuple[str, ...]
    """The command that runs buildx."""
    buildx_version: Version
    environment: Mapping[str, str]
    """The environment of every child process that talks to this engine."""
    has_bridge: bool
    """Whether containers have a network of their own; without one, builds use the host's."""

    def client(self) -> docker.DockerClient:
        """A new client of the engine; close it after use."""
        import docker

        return docker.DockerClient(base_url=self.address, timeout=600)


def connect(environment: Mapping[str, str] | None = None) -> Engine:
    """The engine that `environment` (by default this process's) names by DOCKER_HOST or context.

    Raises:
        EngineError: no engine answers, it or buildx is too old, or the docker package is missing.
    """
    import docker
    from docker.errors import DockerException

    environment = dict(os.environ if environment is None else environment)
    address = environment.get("DOCKER_HOST") or _context_address()
    _check_socket(address)
    try:
        client = docker.DockerClient(base_url=address, timeout=30)
        version_text = str(client.version()["Version"])
        has_bridge = any(n.name == "bridge" for n in client.networks.list(names=["bridge"]))
        client.close()
    except DockerException as error:
        raise EngineError(_no_answer(address, error)) from None
    environment["DOCKER_HOST"] = address
    version = _version_in(version_text)
    if version < MINIMUM_ENGINE:
        raise EngineError(
            f"the Docker Engine at {address} is version {version_text}, too old: {_INSTALL}"
        )
    buildx, buildx_version = _find_buildx(environment)
    return Engine(address, version, buildx, buildx_version, environment, has_bridge)


def _context_address() -> str:
    """The address of the current docker context, which the SDK does not use by itself."""
    from docker.context import ContextAPI
    from docker.errors import DockerException

    try:
        context = ContextAPI.get_current_context()
    except (DockerException, OSError, ValueError):
        context = None
    return (context.Host if context else None) or "unix:///var/run/docker.sock"


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


def _version_in(text: str) -> Version:
    match = re.search(r"\d+(\.\d+)+", text)
    return Version(match.group()) if match else Version("0")


def _find_buildx(environment: Mapping[str, str]) -> tuple[tuple[str, ...], Version]:
    for command in (("docker", "buildx"), ("docker-buildx",)):
        try:
            answer = subprocess.run(
                [*command, "version"],
                env=dict(environment),
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if answer.returncode == 0 and "buildx" in answer.stdout:
            version = _version_in(answer.stdout)
            if version < MINIMUM_BUILDX:
                raise EngineError(
                    f"buildx is version {version}, too old: install buildx {MINIMUM_BUILDX} or "
                    "later (the package docker-buildx-plugin or docker-buildx)"
                )
            return command, version
    raise EngineError(
        "buildx is missing: install it (the package docker-buildx-plugin or docker-buildx), "
        "so that `docker buildx version` answers"
    )
