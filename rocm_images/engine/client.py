"""The SDK's client of an engine, with patience that ends, and helpers for passwords that end too.

It imports the SDK, so it is imported where it is used.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
import warnings
from typing import Any
from urllib.parse import urlsplit

import docker
from docker import auth, credentials
from docker.utils.proxy import ProxyConfig
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3.util.ssl_ import create_urllib3_context

from rocm_images.engine.contexts import configuration_folder, is_there
from rocm_images.engine.endpoint import Tls
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

    @classmethod
    def load_config(cls, config_path: Any, config_dict: Any, credstore_env: Any = None) -> Logins:
        """Those of Docker's folder; the SDK goes on to the home's where that has none."""
        path = configuration_folder(os.environ) / "config.json"
        if config_path is None and config_dict is None:
            if not is_there(path):
                return cls({}, credstore_env)
            config_path = str(path)
        return super().load_config(config_path, config_dict, credstore_env)

    def _get_store_instance(self, name: str) -> credentials.Store:
        return _Store(name)


class _Verifying(HTTPAdapter):
    """Verifies an engine's certificate as docker does.

    Python 3.13 begins to be strict, and certificates as Docker's documentation has them made lack
    what that asks for. https://github.com/docker/docs/pull/23578
    """

    def __init__(self, tls: Tls) -> None:
        self._tls = tls
        super().__init__()

    def init_poolmanager(self, *given: Any, **settings: Any) -> None:
        """Make the pool, which requests gives the CA and the client's certificate."""
        asked = ssl.CERT_REQUIRED if self._tls.verified else ssl.CERT_NONE
        context = create_urllib3_context(cert_reqs=asked)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self._tls.authority is None:
            context.load_default_certs()
        super().init_poolmanager(*given, ssl_context=context, **settings)


class Asking(docker.APIClient):
    """The SDK's calls of an engine, by TLS where that is asked for."""

    def __init__(self, address: str, tls: Tls | None, version: str, timeout: int) -> None:
        if tls and not tls.verified:
            # It is said where the engine is named; urllib3 would say it with every call.
            host = urlsplit(address).hostname
            warnings.filterwarnings(
                "ignore", f"Unverified HTTPS request .* {re.escape(repr(host))}"
            )
        settings = tls.settings() if tls else False
        super().__init__(base_url=address, version=version, timeout=timeout, tls=settings)
        if tls:
            self.mount("https://", _Verifying(tls))
        if not is_there(configuration_folder(os.environ) / "config.json"):
            # The SDK went on to the home's, whose proxies it would give to containers.
            self._proxy_configs = ProxyConfig()

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """What goes for a request, by the environment too, as far as docker goes by it.

        REQUESTS_CA_BUNDLE is about registries and package indexes, and requests would take it for
        the engine's CA.
        """
        merged = super().merge_environment_settings(url, proxies, stream, verify, cert)
        return {**merged, "verify": self.verify, "proxies": _proxies(url)}


def goes_through_proxy(address: str, tls: Tls | None) -> bool:
    """Whether the environment has an engine's TCP address asked through a proxy."""
    url = address.replace("tcp://", "https://" if tls else "http://", 1)
    return bool(select_proxy(url, _proxies(url)))


def _proxies(url: str) -> dict[str, str]:
    """By scheme, as docker reads the environment: none to this machine, and no ALL_PROXY."""
    found = {} if _is_here(url) else get_environ_proxies(url)
    return {scheme: proxy for scheme, proxy in found.items() if scheme in ("http", "https")}


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class _Calls(Asking):
    """Every call of an engine goes through `send`."""

    def __init__(self, address: str, tls: Tls | None, version: str, timeout: int) -> None:
        self._patience = Patience(address, tls)
        super().__init__(address, tls, version, timeout)
        self._auth_configs = Logins.load_config(None, None)

    def send(self, request: PreparedRequest, **options: Any) -> Response:
        send = super().send
        return self._patience.call(lambda: send(request, **options))


class Client(docker.DockerClient):
    """A client of the engine at an address."""

    def __init__(
        self,
        address: str,
        version: str,
        timeout: int = CALL_SECONDS,
        tls: Tls | None = None,
    ) -> None:
        self.api = _Calls(address, tls, version, timeout)
