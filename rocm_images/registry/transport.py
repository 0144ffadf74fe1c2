"""HTTP with one registry: every answer ends, has a limit, and no password goes elsewhere.

requests waits for each piece of an answer but not for the whole, reads as much as comes, takes
passwords from ~/.netrc, and follows redirects from TLS to plain HTTP.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from requests import PreparedRequest, Response, Session
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import poolmanager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from rocm_images.foreign import parsed
from rocm_images.loopback import direct
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.manifest import LARGEST_BLOB, LARGEST_MANIFEST

MOST_REDIRECTS = 5
_PIECE = 64 * 1024
_CLIENT = "rocm-images"


@dataclass(frozen=True)
class Deadlines:
    """Seconds that a registry has."""

    connect: float = 10.0
    between: float = 60.0
    """Without a byte."""
    whole: float = 300.0
    """For one answer, from its first header to its last byte."""


DEADLINES = Deadlines()


class Refused(Exception):
    """What a registry wants is not done, or not waited for; says why. Asking again cannot help."""


class Transport(Session):
    """A session with one registry, for one thread."""

    def __init__(self, address: RegistryAddress, deadlines: Deadlines) -> None:
        super().__init__()
        self.max_redirects = MOST_REDIRECTS
        # What is not decompressed cannot swell.
        self.headers["Accept-Encoding"] = "identity"
        # Where there is none, requests looks into ~/.netrc.
        self.auth = lambda request: request
        self._host = address.host
        self._registry = f"http{'' if address.plain_http else 's'}://{address.api_host}"
        self.asks_for_token = False
        """Whether what is sent now goes to whom the registry named for tokens."""
        self.identity_token = ""
        """What tokens are given out for, in the place of a password."""
        self.mount("https://", _Adapter(deadlines))
        self.mount("http://", _Adapter(deadlines) if address.plain_http else _NoPlainHttp())

    def check_realm(self, realm: str) -> None:
        """Refuse to send a password to where the registry says that tokens are given out.

        Raises:
            Refused: that is in another domain than the registry.
        """
        mine, other = (urlsplit(url).hostname or "" for url in (self._registry, realm))
        # registry-1.docker.io has auth.docker.io, and registry.gitlab.com has gitlab.com.
        labels = mine.split(".")
        domain = ".".join(labels[1:] if len(labels) > 2 else labels)
        named = not labels[-1].isdigit() and ":" not in mine
        if other != mine and not (named and (other == domain or other.endswith(f".{domain}"))):
            raise Refused(
                f"it wants the password sent to {other or 'nobody'}, which is in another domain: "
                f"`docker logout {self._host}` where everybody may read it"
            )

    def get(self, url: str | bytes, **settings: Any) -> Response:
        """As requests' own; a token is asked for with the identity token, where there is one.

        Raises:
            Refused: that is wanted where none may go.
        """
        if not (self.asks_for_token and self.identity_token):
            return super().get(url, **settings)
        place, _, query = str(url).partition("?")
        self.check_realm(place)
        # https://distribution.github.io/distribution/spec/auth/oauth/
        asked = parse_qs(query)
        form = {
            "grant_type": "refresh_token",
            "refresh_token": self.identity_token,
            "service": "".join(asked.get("service", ())),
            "scope": " ".join(asked.get("scope", ())),
            "client_id": _CLIENT,
        }
        # A redirect would take the identity token along.
        verify = settings.get("verify")
        answer = self.post(place, data=form, allow_redirects=False, verify=verify)
        if answer.is_redirect:
            raise Refused("whom it names for tokens sends us on with an identity token")
        # Not everybody who gives out tokens knows this way to ask; all know the other.
        return super().get(url, **settings) if answer.status_code in (404, 405) else answer

    def is_the_registry(self, url: str) -> bool:
        """Whether an answer from there is the registry's own, and not of whom it named."""
        return _origin(url) == _origin(self._registry)

    def rebuild_auth(self, prepared_request: PreparedRequest, response: Response) -> None:
        """Send no credentials along to another host; requests would look into ~/.netrc here too."""
        before, after = response.request.url or "", prepared_request.url or ""
        if self.should_strip_auth(before, after):  # type: ignore[no-untyped-call]
            prepared_request.headers.pop("Authorization", None)

    def send(self, request: PreparedRequest, **settings: Any) -> Response:
        """Send a request, without credentials where it goes to somebody else.

        Raises:
            Refused: a password is wanted where none may go.
            ValueError: what is given out is no token.
        """
        url = request.url or ""
        if "Authorization" in request.headers and not self.is_the_registry(url):
            if self.asks_for_token:
                self.check_realm(url)
            else:
                # dxf sends them to wherever the registry wants an upload.
                del request.headers["Authorization"]
        answer = super().send(request, **direct(url, settings))
        if self.asks_for_token and answer.status_code == 200:
            # dxf takes a token for JSON that can be parsed, however deep it is.
            parsed(answer.content)
        return answer


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, parts.hostname or "", parts.port or (443 if scheme == "https" else 80)


class _NoPlainHttp(BaseAdapter):
    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        raise Refused(f"it sends us to {urlsplit(request.url or '').netloc}, which has no TLS")

    def close(self) -> None: ...


class _Adapter(HTTPAdapter):
    """Reads every answer whole, within the deadlines and the limits."""

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._pools = _pools(deadlines)
        super().__init__()

    def init_poolmanager(self, *given: Any, **settings: Any) -> None:
        super().init_poolmanager(*given, **settings)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *given: Any, **settings: Any) -> Any:
        manager = super().proxy_manager_for(*given, **settings)
        # A SOCKS proxy has connections of its own.
        if manager.pool_classes_by_scheme is poolmanager.pool_classes_by_scheme:
            manager.pool_classes_by_scheme = self._pools
        return manager

    def send(self, request: PreparedRequest, *_: Any, **settings: Any) -> Response:
        timeout = (self._deadlines.connect, self._deadlines.between)
        answer = super().send(request, **{**settings, "stream": True, "timeout": timeout})
        manifest = "/manifests/" in (request.url or "")
        try:
            # Where it is set, requests reads nothing itself.
            answer._content = _whole(answer, LARGEST_MANIFEST if manifest else LARGEST_BLOB)
        finally:
            answer.close()
        return answer


def _whole(answer: Response, limit: int) -> bytes:
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise Refused("it sends compressed what was asked for as it is")
    content = bytearray()
    for piece in answer.iter_content(_PIECE):
        content += piece
        if len(content) > limit:
            raise Refused(f"its answer is larger than {limit >> 20} MiB")
    return bytes(content)


def _pools(deadlines: Deadlines) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's classes, with answers that end within the deadlines."""

    class Answer(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *given: Any, **settings: Any) -> None:
            super().__init__(sock, *given, **settings)
            self.fp = io.BufferedReader(_Within(self.fp.detach(), sock, deadlines))

    class Plain(HTTPConnection):
        response_class = Answer

    class Secure(HTTPSConnection):
        response_class = Answer

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


class _Within(io.RawIOBase):
    """What comes from a socket, until the deadline."""

    def __init__(self, raw: io.RawIOBase, connection: socket.socket, deadlines: Deadlines) -> None:
        self._raw = raw
        self._connection = connection
        self._deadlines = deadlines
        self._end = time.monotonic() + deadlines.whole

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._end - time.monotonic()
        late = Refused(f"its answer takes longer than {self._deadlines.whole:g} s")
        if left <= 0:
            raise late
        self._connection.settimeout(min(left, self._deadlines.between))
        try:
            return self._raw.readinto(buffer)
        except TimeoutError:
            if left < self._deadlines.between:
                raise late from None
            raise

    def close(self) -> None:
        self._raw.close()
        super().close()
