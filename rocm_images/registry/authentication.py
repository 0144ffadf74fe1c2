"""Tells a registry that asks who we are: with a password, a token, or what tokens are given for.

dxf reads what the registry asks for, and asks for tokens with a password; transport.py sends none
of it elsewhere, and asks with an identity token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dxf.exceptions import DXFUnauthorizedError
from requests.exceptions import HTTPError

from rocm_images.engine.logins import Credentials, credentials_of
from rocm_images.errors import RegistryError
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.transport import Refused, Transport

if TYPE_CHECKING:
    from dxf import DXFBase
    from requests import Response


def authenticate(
    address: RegistryAddress, dxf: DXFBase, session: Transport, response: Response
) -> None:
    """Let `dxf` know what it is to send from now on; `response` is the answer that asks for it.

    Raises:
        RegistryError: the credentials cannot be had, or the identity token helps with nothing.
        Refused: a password is wanted where none may go.
        DXFError, RequestException: whatever else goes wrong.
    """
    if not session.is_the_registry(response.url):
        # https://github.com/containerd/containerd/security/advisories/GHSA-742w-89gc-8m9c
        raise Refused("it sends us to somebody else, who asks for a password")
    known = (None if address.plain_http else credentials_of(address.host)) or Credentials()
    if known.registry_token:
        dxf.token = known.registry_token
        return
    # Beside an identity token an empty password is none.
    has_password = known.username and (known.password or not known.identity_token)
    session.asks_for_token, session.identity_token = True, known.identity_token
    try:
        token = dxf.authenticate(
            known.username if has_password else None,
            known.password if has_password else None,
            response=response,
        )
    except (DXFUnauthorizedError, HTTPError) as error:
        answer = getattr(error, "response", None)
        status = 401 if answer is None else answer.status_code
        if known.identity_token and status in (400, 401, 403):
            raise RegistryError(
                f"{known.place} has an identity token for which {address} gives out no token (it "
                f"answered {status}), as when it expired: `docker login {address.host}` again"
            ) from None
        # Of the one who gives out tokens it does not say that there is no such image.
        if status == 404:
            raise Refused("it names somebody for tokens who gives out none") from None
        raise
    finally:
        session.asks_for_token, session.identity_token = False, ""
    if known.identity_token and not (token or has_password):
        raise RegistryError(
            f"{known.place} has an identity token, and {address} asks for a password: `docker "
            f"login {address.host}` with one, or with an access token"
        )
