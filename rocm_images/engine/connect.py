"""Finds the Docker Engine and buildx, and says what to install when they cannot be used."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.version import Version

from rocm_images import telling
from rocm_images.engine import unreachable
from rocm_images.engine.endpoint import Endpoint, Tls, endpoint_of, is_expected, is_named
from rocm_images.engine.patience import Patience, answers
from rocm_images.errors import EngineError

if TYPE_CHECKING:
    import docker

# BuildKit with named contexts that replace stages, and ADD of a git commit.
# https://docs.docker.com/build/building/context/
MINIMUM_ENGINE = Version("23.0")
# As the SDK asks before it knows better; it is not sent.
_ANY_API = "1.44"
# The SDK believes what Docker's files and an engine say: what they must not say meets it as these.
_BELIEVED = (AttributeError, LookupError, TypeError, ValueError, RecursionError)


@dataclass(frozen=True)
class Engine:
    """A Docker Engine that answers."""

    address: str
    version: Version
    api: str
    """The newest version of the API that it speaks; naming it saves a question per client."""
    environment: Mapping[str, str]
    """The environment of every child process that talks to this engine."""
    tls: Tls | None = None

    def client(self, timeout: int | None = None) -> docker.DockerClient:
        """A new client of the engine; close it after use.

        What it asks raises EngineError where the engine does not answer for a minute.
        """
        from rocm_images.engine.client import CALL_SECONDS, Client

        return Client(self.address, self.api, timeout or CALL_SECONDS, self.tls)

    def answers(self) -> bool:
        """Whether it still answers."""
        return answers(self.address, self.tls)

    @property
    def patience(self) -> Patience:
        """What waits for this engine."""
        return Patience(self.address, self.tls)


def connect(environment: Mapping[str, str] | None = None, source: str = "") -> Engine:
    """The engine that `environment`, by default this process's, means; says which it is.

    Args:
        source: what named it, in words, where that was no user.

    Raises:
        EngineError: no engine answers there, or it is too old.
    """
    environment = dict(os.environ if environment is None else environment)
    endpoint = endpoint_of(environment)
    endpoint = replace(endpoint, source=source or endpoint.source)
    unreachable.check_socket(endpoint, environment)
    answer = _version(endpoint)
    text = str(answer["Version"])
    version = version_in(text)
    podman = _is_podman(answer)
    if version < MINIMUM_ENGINE and not podman:
        raise EngineError(
            f"the Docker Engine at {endpoint} is version {text}, too old: {unreachable.INSTALL}"
        )
    telling.step(f"engine: {'Podman' if podman else 'Docker Engine'} {text} at {endpoint}")
    if podman:
        telling.step(
            f"{telling.PROGRAM}: warning: nothing here was tested with Podman, and its socket has "
            "no BuildKit to build with: where something fails, use Docker Engine 23 or later"
        )
    there, api = endpoint.environment(environment), str(answer["ApiVersion"])
    return Engine(endpoint.address, version, api, there, endpoint.tls)


def connect_if_any() -> Engine | None:
    """The engine that this process's environment means, for what can go on without one.

    Looking takes no time where nothing names one. What somebody named and cannot be had is a
    warning; else the reason is told by -v.
    """
    if not is_expected(os.environ):
        telling.decided("engine: nothing on this machine names one")
        return None
    try:
        return connect()
    except EngineError as error:
        if is_named(os.environ):
            telling.step(f"{telling.PROGRAM}: warning: {error}")
        else:
            telling.decided(f"engine: {error}")
        return None


def _version(endpoint: Endpoint) -> Mapping[str, object]:
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    from rocm_images.engine.client import Client

    try:
        client = Client(endpoint.address, _ANY_API, tls=endpoint.tls)
    except (DockerException, OSError, *_BELIEVED) as error:
        files = f" and the certificates in {endpoint.tls.folder}" if endpoint.tls else ""
        raise EngineError(
            f"no client can be made for the engine at {endpoint} ({telling.quoted(error)}): see "
            f"its address{files}"
        ) from None
    try:
        answer = client.api.version(api_version=False)
    except (DockerException, RequestException, OSError, *_BELIEVED) as error:
        raise unreachable.failure(endpoint, error) from None
    finally:
        client.close()
    found: Mapping[str, object] = answer if isinstance(answer, dict) else {}
    if not (found.get("Version") and re.fullmatch(r"\d+\.\d+", str(found.get("ApiVersion")))):
        raise unreachable.no_answer(endpoint, "what answers is none", "name one by DOCKER_HOST")
    return found


def _is_podman(answer: Mapping[str, object]) -> bool:
    components = answer.get("Components")
    named = components if isinstance(components, list) else []
    return any(isinstance(one, dict) and one.get("Name") == "Podman Engine" for one in named)


def version_in(text: str) -> Version:
    """The first version in a text, or 0."""
    match = re.search(r"\d+(\.\d+)+", text)
    return Version(match.group()) if match else Version("0")
