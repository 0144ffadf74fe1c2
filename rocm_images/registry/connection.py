"""One thread's connection with one repository: dxf over our transport, with what dxf does not ask.

dxf has requests of its own for most things; those that it lacks are added here, to its class.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dxf import DXF
from requests import Response

from rocm_images.registry import transport
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.authentication import authenticate


class Connection(DXF):
    """Requests about one repository; each raises what requests, dxf or Transport raises."""

    def __init__(
        self,
        address: RegistryAddress,
        name: str,
        ca_bundle: Path | None,
        deadlines: transport.Deadlines | None,
    ) -> None:
        session = transport.Transport(address, deadlines or transport.DEADLINES)
        super().__init__(
            address.api_host,
            address.repository(name),
            auth=lambda dxf, response: authenticate(address, dxf, session, response),
            insecure=address.plain_http,
            tlsverify=str(ca_bundle) if ca_bundle else True,
        )
        # What dxf's own context manager does with a plain session: it stays open.
        self._sessions.insert(0, session)

    def delete_manifest(self, digest: str) -> None:
        """Ask for the deletion of a manifest by its digest; dxf's own goes by a tag."""
        self._request("delete", f"manifests/{digest}")  # type: ignore[no-untyped-call]

    def page_of_tags(self, asked: Mapping[str, str]) -> Response:
        """One page of the list of tags; dxf's own list goes wherever a page says that it goes on.

        Args:
            asked: the page's query, as `n` and `last`.
        """
        answer: Response = self._request("get", "tags/list", params=dict(asked))  # type: ignore[no-untyped-call]
        return answer
