"""A registry with TLS on loopback that wants a token, and gives it out as Docker's does."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import trustme

from made_up_registry import MadeUpRegistry, Request, says

PASSWORD = "Basic " + base64.b64encode(b"someone:a word").decode()
IDENTITY = "an-identity-token"
TOKEN = "a-token"


class TokenRegistry(MadeUpRegistry):
    """Its tokens are had by `GET /token` with the password, and by `POST /token` with OAuth2."""

    def __init__(self, authority: trustme.CA, host: str = "127.0.0.1") -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
        super().__init__(context, host=host)
        self.forms: list[dict[str, list[str]]] = []
        """What it was told by POST."""
        self.realm = f"https://{self.address}/token"
        self.challenge = "Bearer"
        self.granting: Callable[[Request], object] | None = None
        """Answers a POST instead."""
        self.answers = self._with_tokens

    def _with_tokens(self, request: Request) -> object:
        if urlsplit(request.path).path == "/token":
            return self._token(request)
        if request.headers.get("Authorization") == f"Bearer {TOKEN}":
            return self.as_registries_do(request)
        more = f'realm="{self.realm}",service="s",scope="repository:some/image:pull x:y:z"'
        return says(401, WWW_Authenticate=f"{self.challenge} {more}")(request)

    def _token(self, request: Request) -> object:
        if request.method == "POST":
            self.forms.append(parse_qs(request.content.decode()))
            if self.granting:
                return self.granting(request)
            known = self.forms[-1].get("refresh_token") == [IDENTITY]
            answer = {"access_token": TOKEN, "refresh_token": "another"}
        else:
            known = request.headers.get("Authorization") == PASSWORD
            answer = {"token": TOKEN}
        if not known:
            return says(401)(request)
        return request.answer(json.dumps(answer).encode())
