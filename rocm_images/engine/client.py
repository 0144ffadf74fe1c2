"""The SDK's client of an engine, with patience that ends, and helpers for passwords that end too.

It imports the SDK, so it is imported where it is used.
"""

from __future__ import annotations

from typing import Any

import docker
from docker import auth, credentials
from requests import PreparedRequest, Response

from rocm_images.engine.patience import Patience
from rocm_images.supervisor import TookTooLong, supervisor

CALL_SECONDS = 600
"""What one call may take of an engine that answers others meanwhile."""
HELPER_SECONDS = 30.0


class _Store(credentials.Store):
    """A program that keeps Docker's passwords; the SDK itself waits for it without end."""

    def get(self, server: str | bytes) -> Any:
        try:
            found = super().get(server)  # type: ignore[no-untyped-call]
            return {name: str(found[name]) for name in ("Username", "Secret")}
        except (ValueError, KeyError, TypeError):
            raise credentials.StoreError(f"{self.program} get: its answer is none") from None

    def _execute(self, subcmd: str, data_input: bytes | None) -> bytes:
        if self.exe is None:
            raise credentials.StoreError(f"{self.program} is not installed")
        words = [self.exe, subcmd]
        try:
            answer = supervisor.run(words, seconds=HELPER_SECONDS, given=data_input or b"")
        except TookTooLong as error:
            raise credentials.StoreError(f"{self.program} {subcmd}: {error}") from None
        except OSError as error:
            raise credentials.StoreError(f"{self.program}: {error.strerror}") from None
        if answer.status == 0:
            return answer.content
        if "credentials not found in native keychain" in answer.output:
            raise credentials.CredentialsNotFound(f"{self.program} has none")
        raise credentials.StoreError(f"{self.program} {subcmd}: {answer.output.strip()}")


class Logins(auth.AuthConfig):
    """What `docker login` left, of this machine's user."""

    def _get_store_instance(self, name: str) -> credentials.Store:
        return _Store(name)


class _Calls(docker.APIClient):
    """Every call of an engine goes through `send`."""

    def __init__(self, address: str, version: str | None, timeout: int) -> None:
        self._patience = Patience(address)
        super().__init__(base_url=address, version=version, timeout=timeout)
        self._auth_configs = Logins.load_config(None, None)

    def send(self, request: PreparedRequest, **options: Any) -> Response:
        send = super().send
        return self._patience.call(lambda: send(request, **options))


class Client(docker.DockerClient):
    """A client of the engine at an address."""

    def __init__(
        self, address: str, version: str | None = None, timeout: int = CALL_SECONDS
    ) -> None:
        self.api = _Calls(address, version, timeout)
