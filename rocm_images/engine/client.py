"""The SDK's client of an engine, with patience that ends and this program's own reading of logins.

It imports the SDK, so it is imported where it is used.
"""

from __future__ import annotations

from typing import Any

import docker
from docker import auth
from docker.utils import config
from requests import PreparedRequest, Response

from rocm_images.engine.logins import credentials_of, name_of, proxies_of_containers
from rocm_images.engine.patience import Patience
from rocm_images.loopback import direct

CALL_SECONDS = 600
"""What one call may take of an engine that answers others meanwhile."""


def _of_dockers_configuration(config_path: object = None) -> dict[str, Any]:  # noqa: ARG001
    return {"proxies": proxies_of_containers()}


# Each of the SDK's clients reads all of config.json when it is made, and fails with any of it.
config.load_general_config = _of_dockers_configuration


class _Logins(auth.AuthConfig):
    """What `docker login` left, as the SDK asks for it."""

    # Else the SDK reads the file itself, whole.
    is_empty = False

    def resolve_authconfig(self, registry: str | None = None) -> dict[str, str] | None:
        """What the engine is told of a registry; None where there is nothing.

        Raises:
            RegistryError: it cannot be had.
        """
        host = registry or auth.INDEX_NAME
        found = credentials_of(host)
        return (
            None
            if found is None
            else {
                "username": found.username,
                "password": found.password,
                "identitytoken": found.identity_token,
                "registrytoken": found.registry_token,
                "serveraddress": name_of(host),
            }
        )


class Calls(docker.APIClient):
    """The SDK's calls of an engine: none falls over what config.json has for others."""

    def __init__(self, address: str, version: str | None, timeout: int) -> None:
        super().__init__(base_url=address, version=version, timeout=timeout)
        self._auth_configs = _Logins({})

    def send(self, request: PreparedRequest, **options: Any) -> Response:
        """See requests.Session.send: with no proxy to what is on this machine."""
        return super().send(request, **direct(request.url, options))


class _Calls(Calls):
    """Every call of an engine goes through `send`."""

    def __init__(self, address: str, version: str | None, timeout: int) -> None:
        self._patience = Patience(address)
        super().__init__(address, version, timeout)

    def send(self, request: PreparedRequest, **options: Any) -> Response:
        send = super().send
        return self._patience.call(lambda: send(request, **options))


class Client(docker.DockerClient):
    """A client of the engine at an address."""

    def __init__(
        self, address: str, version: str | None = None, timeout: int = CALL_SECONDS
    ) -> None:
        self.api = _Calls(address, version, timeout)
