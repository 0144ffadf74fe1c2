"""Reads and writes one repository of a registry: manifests, small blobs and tags.

dxf speaks the protocol and verifies content; credentials are those of Docker's own configuration
and helpers. Images themselves are pushed and pulled by the engine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rocm_images.errors import RegistryError, RegistryUnanswered
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.manifest import Manifest, digest_of
from rocm_images.registry.retries import Retries, is_no_name, may_pass, reason_of
from rocm_images.registry.tags import Page, every_tag
from rocm_images.telling import quoted
from rocm_images.waiting import waiting_for

if TYPE_CHECKING:
    from rocm_images.registry.connection import Connection
    from rocm_images.registry.transport import Deadlines

T = TypeVar("T")
# It takes an answer for what it should be.
_NOT_FORESEEN_BY_DXF = (ValueError, LookupError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Repository:
    """One repository of a registry. Methods may be called from several threads.

    Every method raises RegistryError where the registry cannot be reached, does not let us in, or
    answers something that is not its protocol; what may pass is tried again first.
    """

    address: RegistryAddress
    name: str
    ca_bundle: Path | None = None
    retries: Retries = field(default_factory=Retries)
    deadlines: Deadlines | None = None
    """None: those of everybody."""
    of_a_vendor: bool = False
    """Whether the name of an image says where it is: before that nobody can write http://."""
    _local: threading.local = field(default_factory=threading.local, repr=False, compare=False)

    def __str__(self) -> str:
        return self.address.named(self.name)

    def reference(self, tag_or_digest: str) -> str:
        """An image reference in this repository."""
        return f"{self}{'@' if ':' in tag_or_digest else ':'}{tag_or_digest}"

    def digest_of(self, tag: str) -> str | None:
        """The digest that a tag has, or None where there is no such tag: one request.

        The manifest itself is read: a header that names a digest proves nothing.
        """
        found = self.manifest(tag)
        return found.digest if found else None

    def manifest(self, tag_or_digest: str) -> Manifest | None:
        """A manifest or index, or None where there is none."""
        what = f"the manifest of {tag_or_digest}"
        answer = self._ask(lambda there: there.get_manifest_and_response(tag_or_digest)[1], what)
        if answer is None:
            return None
        name = self.reference(tag_or_digest)
        digest = digest_of(answer.content)
        if ":" in tag_or_digest and digest != tag_or_digest:
            raise RegistryError(
                f"{name}: the registry sent a manifest of another digest, {digest}: it was altered "
                "there"
            )
        try:
            found = Manifest(answer.content)
        except ValueError as error:
            raise RegistryError(
                f"{name}: the registry sent something else than a manifest ({quoted(error)})"
            ) from None
        said = answer.headers.get("Docker-Content-Digest", digest)
        if said != digest:
            raise RegistryError(
                f"{name}: the registry says that its digest is {quoted(said)}, and sent {digest}: "
                "it, or what stands before it, does not work"
            )
        return found

    def blob(self, digest: str) -> bytes:
        """A small blob, whose content has that digest."""
        from dxf.exceptions import DXFDigestMismatchError

        def read(there: Connection) -> bytes:
            return b"".join(there.pull_blob(digest))  # type: ignore[arg-type]

        try:
            found = self._ask(read, f"the blob {digest}")
        except DXFDigestMismatchError as error:
            raise RegistryError(
                f"{self.reference(digest)}: the registry sent a blob of another digest, "
                f"{error.got}: it was altered there"
            ) from None
        if found is None:
            raise RegistryError(f"{self.reference(digest)}: the registry has no such blob")
        return found

    def put_tag(self, tag: str, manifest: Manifest) -> None:
        """Make a tag stand for a manifest whose parts the repository has."""
        text = manifest.content.decode("utf-8")
        self._ask(lambda there: there.set_manifest(tag, text) or True, f"the tag {tag}", write=True)

    def put_blob(self, digest: str, content: bytes) -> None:
        """Put a small blob there, unless the repository has it."""
        name = f"the blob {digest}"
        self._ask(
            lambda there: there.push_blob(data=iter([content]), digest=digest), name, write=True
        )

    def delete(self, digest: str) -> bool:
        """Delete a manifest, and every tag that stands for it; False where there was none.

        Either way there is none afterwards.

        https://github.com/opencontainers/distribution-spec/blob/main/spec.md#deleting-manifests
        """

        def ask(there: Connection) -> bool:
            there.delete_manifest(digest)
            return True

        name = f"the manifest {digest}"
        found = self._ask(ask, name, deletes=True)
        # What leads elsewhere is asked for there, and not deleted; and what has no deletion at all,
        # or a proxy that does not pass it on, may answer that there is nothing.
        if self.manifest(digest) is not None:
            says = "it deleted" if found else "it has not"
            raise RegistryError(
                f"{self}: it says that {says} {name}, and has it still: it, or what stands before "
                "it, does not delete; ask its operator"
            )
        return bool(found)

    def list_tags(self) -> tuple[str, ...] | None:
        """Every tag, in the registry's order; None where it has no such list.

        https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags

        Raises:
            RegistryError: also where the list does not come to an end.
        """

        def page_for(asked: Mapping[str, str]) -> Page | None:
            return self._ask(lambda there: Page.of(there.page_of_tags(asked)), "its list of tags")

        return every_tag(page_for, str(self))

    def _ask(
        self,
        what: Callable[[Connection], T],
        name: str,
        *,
        write: bool = False,
        deletes: bool = False,
    ) -> T | None:
        """The answer to one question; None where the registry says that there is no such thing."""
        from dxf.exceptions import (
            DXFAuthInsecureError,
            DXFDigestMismatchError,
            DXFError,
            DXFUnauthorizedError,
        )
        from requests.exceptions import RequestException, SSLError
        from urllib3.exceptions import HTTPError

        from rocm_images.registry.transport import Refused

        verb = "delete" if deletes else "write" if write else "read"
        try:
            with waiting_for(self.address.host) as wait:
                return self.retries.call(lambda: what(self._connection()), may_pass, wait)
        except DXFAuthInsecureError:
            raise RegistryError(
                f"{self.address} asks for a password over plain HTTP: give it TLS; passwords are "
                "sent over nothing else"
            ) from None
        except DXFUnauthorizedError:
            raise RegistryError(self._no_entry()) from None
        except SSLError as error:
            or_else = "" if self.of_a_vendor else ", or write http:// before a registry without TLS"
            raise RegistryError(
                f"{self.address}: its certificate cannot be verified ({reason_of(error)}): name "
                f"the CA with --ca-bundle{or_else}"
            ) from None
        except RequestException as error:
            status = error.response.status_code if error.response is not None else None
            if status == 404 and not write:
                return None
            if status == 405 and deletes:
                raise RegistryError(
                    f"{self} allows no deletion (it answered 405): its operator has to, by "
                    "REGISTRY_STORAGE_DELETE_ENABLED=true, say, or has rules of its own for what "
                    "goes; nothing was deleted by this request"
                ) from None
            if status == 403:
                raise RegistryError(self._no_entry()) from None
            silent = may_pass(error) or is_no_name(error)
            kind = RegistryUnanswered if silent else RegistryError
            raise kind(f"{self}: cannot {verb} {name} ({reason_of(error)})") from None
        except Refused as error:
            raise RegistryError(f"{self}: cannot {verb} {name} ({quoted(error)})") from None
        except DXFDigestMismatchError:
            raise
        except DXFError as error:
            raise RegistryError(f"{self}: {name}: {quoted(error)}") from None
        except (HTTPError, *_NOT_FORESEEN_BY_DXF) as error:
            raise RegistryError(
                f"{self}: {name}: not a registry's answer ({quoted(error)})"
            ) from None

    def _no_entry(self) -> str:
        return (
            f"{self} does not let us in: `docker login {self.address.host}` with an account that "
            "may use this repository"
        )

    def _connection(self) -> Connection:
        """This thread's."""
        found: Connection | None = getattr(self._local, "connection", None)
        if found is None:
            # It takes long to import.
            from rocm_images.registry.connection import Connection

            found = Connection(self.address, self.name, self.ca_bundle, self.deadlines)
            self._local.connection = found
        return found
