"""The SDK's client of an engine, with patience that ends and this program's own reading of logins.

It imports the SDK, so it is imported where it is used.
"""

from __future__ import annotations

import re
import ssl
import warnings
from typing import Any
from urllib.parse import urlsplit

import docker
from docker import auth
from docker.utils import config
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3.util import parse_url
from urllib3.util.ssl_ import create_urllib3_context

from rocm_images.engine.endpoint import Tls
from rocm_images.engine.logins import credentials_of, name_of, proxies_of_containers
from rocm_images.engine.patience import Patience
from rocm_images.loopback import is_loopback

CALL_SECONDS = 600
"""What one call may take of an engine that answers others meanwhile."""


def _of_dockers_configuration(config_path: object = None) -> dict[str, object]:  # noqa: ARG001
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
        if found is None:
            return None
        return {
            "username": found.username,
            "password": found.password,
            "identitytoken": found.identity_token,
            "registrytoken": found.registry_token,
            "serveraddress": name_of(host),
        }


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
        super().init_poolmanager(*given, ssl_context=self._context(), **settings)

    def proxy_manager_for(self, proxy: str, **settings: Any) -> Any:
        """The pool of those that are asked through a proxy, which is asked as requests does."""
        return super().proxy_manager_for(proxy, ssl_context=self._context(), **settings)

    def _context(self) -> ssl.SSLContext:
        asked = ssl.CERT_REQUIRED if self._tls.verified else ssl.CERT_NONE
        context = create_urllib3_context(cert_reqs=asked)
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if self._tls.authority is None:
            context.load_default_certs()
        return context


class Asking(docker.APIClient):
    """The SDK's calls of an engine, by TLS where that is asked for."""

    def __init__(self, address: str, tls: Tls | None, version: str, timeout: int) -> None:
        if tls and not tls.verified:
            # It is said where the engine is named; urllib3 would say it with every call.
            for host in filter(None, (urlsplit(address).hostname, _proxys_host(address, tls))):
                warnings.filterwarnings(
                    "ignore", f"Unverified HTTPS request .* {re.escape(repr(host))}"
                )
        settings = tls.settings() if tls else False
        super().__init__(base_url=address, version=version, timeout=timeout, tls=settings)
        if tls:
            self.mount("https://", _Verifying(tls))
        self._auth_configs = _Logins({})

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
    return bool(_proxy(address, tls))


def _proxy(address: str, tls: Tls | None) -> str | None:
    url = address.replace("tcp://", "https://" if tls else "http://", 1)
    return select_proxy(url, _proxies(url))


def _proxys_host(address: str, tls: Tls) -> str | None:
    """The host that urllib3 names instead of the engine's, where it asks through a proxy."""
    return parse_url(_proxy(address, tls) or "").host


def _proxies(url: str) -> dict[str, str]:
    """By scheme, as docker reads the environment: none to this machine, and no ALL_PROXY."""
    here = is_loopback(urlsplit(url).hostname or "")
    found = {} if here else get_environ_proxies(url)
    return {scheme: proxy for scheme, proxy in found.items() if scheme in ("http", "https")}


class _Calls(Asking):
    """Every call of an engine goes through `send`."""

    def __init__(self, address: str, tls: Tls | None, version: str, timeout: int) -> None:
        self._patience = Patience(address, tls)
        super().__init__(address, tls, version, timeout)

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
