"""Reads and writes one repository of a registry: manifests, small blobs and tags.

dxf speaks the protocol and verifies content; credentials are those of Docker's own configuration
and helpers. Images themselves are pushed and pulled by the engine.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from rocm_images.errors import RegistryError
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.credentials import credentials_of

if TYPE_CHECKING:
    from dxf import DXF
    from requests import Response

T = TypeVar("T")
CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
LARGEST_BLOB = 32 * 1024 * 1024
"""Bytes of a configuration or an attestation; layers are the engine's business."""


@dataclass(frozen=True)
class Retries:
    """How often a request that failed for the registry's sake is tried, and how far apart."""

    attempts: int = 6
    first_wait: float = 1.0
    """Seconds; each wait is twice the one before, up to `longest_wait`, with some jitter."""
    longest_wait: float = 30.0

    def call(self, what: Callable[[], T], passing: Callable[[BaseException], bool]) -> T:
        """Call `what` until it succeeds, fails for good, or has failed `attempts` times.

        `passing` says of an exception whether it may pass. The last one is raised as it is.
        """
        from tenacity import Retrying, retry_if_exception, stop_after_attempt
        from tenacity import wait_exponential_jitter as wait

        retrying = Retrying(
            stop=stop_after_attempt(self.attempts),
            wait=wait(
                multiplier=self.first_wait, max=self.longest_wait, jitter=self.first_wait / 2
            ),
            retry=retry_if_exception(passing),
            reraise=True,
        )
        return retrying(what)


@dataclass(frozen=True)
class Manifest:
    """A manifest or an index, byte for byte as the registry has it."""

    content: bytes

    @property
    def digest(self) -> str:
        """`sha256:` and the hex digits of its content."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"

    @property
    def document(self) -> dict[str, Any]:
        """What it says."""
        found: dict[str, Any] = json.loads(self.content)
        return found


@dataclass(frozen=True)
class Repository:
    """One repository of a registry. Methods may be called from several threads.

    Every method raises RegistryError where the registry cannot be reached, does not let us in, or
    answers something that is not its protocol; what may pass is tried again first.
    """

    address: RegistryAddress
    name: str
    ca_bundle: Path | None = None
    retries: Retries = Retries()
    _local: threading.local = field(default_factory=threading.local, repr=False, compare=False)

    def __str__(self) -> str:
        return self.address.named(self.name)

    def reference(self, tag_or_digest: str) -> str:
        """An image reference in this repository."""
        return f"{self}{'@' if ':' in tag_or_digest else ':'}{tag_or_digest}"

    def digest_of(self, tag: str) -> str | None:
        """The digest that a tag has, or None where there is no such tag: one request."""
        found = self._ask(
            lambda dxf: dxf.head_manifest_and_response(tag)[0] or "", f"the tag {tag}"
        )
        if found is None or found:
            return found
        # The header may be left out: https://github.com/opencontainers/distribution-spec
        manifest = self.manifest(tag)
        return manifest.digest if manifest else None

    def manifest(self, tag_or_digest: str) -> Manifest | None:
        """A manifest or index, or None where there is none."""
        what = f"the manifest of {tag_or_digest}"
        content = self._ask(lambda dxf: dxf.get_manifest_and_response(tag_or_digest)[1], what)
        if content is None:
            return None
        found = Manifest(content.content)
        if ":" in tag_or_digest and found.digest != tag_or_digest:
            raise RegistryError(
                f"{self.reference(tag_or_digest)}: the registry sent a manifest of another "
                f"digest, {found.digest}: it was altered there"
            )
        return found

    def blob(self, digest: str) -> bytes:
        """A small blob, whose content has that digest."""
        from dxf.exceptions import DXFDigestMismatchError

        def read(dxf: DXF) -> bytes:
            parts, size = bytearray(), 0
            chunks = dxf.pull_blob(digest)
            for chunk in chunks:
                parts += chunk  # type: ignore[arg-type]
                size += len(chunk)  # type: ignore[arg-type]
                if size > LARGEST_BLOB:
                    raise RegistryError(f"{self.reference(digest)} is larger than it can be")
            return bytes(parts)

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
        self._ask(lambda dxf: dxf.set_manifest(tag, text) or True, f"the tag {tag}", write=True)

    def put_blob(self, digest: str, content: bytes) -> None:
        """Put a small blob there, unless the repository has it."""
        name = f"the blob {digest}"
        self._ask(lambda dxf: dxf.push_blob(data=iter([content]), digest=digest), name, write=True)

    def _ask(self, what: Callable[[DXF], T], name: str, *, write: bool = False) -> T | None:
        """The answer to one question; None where the registry says that there is no such thing."""
        from dxf.exceptions import DXFAuthInsecureError, DXFError, DXFUnauthorizedError
        from requests.exceptions import RequestException, SSLError

        try:
            return self.retries.call(lambda: what(self._dxf()), _may_pass)
        except DXFAuthInsecureError:
            raise RegistryError(
                f"{self.address} asks for a password over plain HTTP: give it TLS; passwords are "
                "sent over nothing else"
            ) from None
        except DXFUnauthorizedError:
            raise RegistryError(self._no_entry()) from None
        except SSLError as error:
            raise RegistryError(
                f"{self.address}: its certificate cannot be verified ({_reason(error)}): name the "
                "CA with --ca-bundle, or write http:// before a registry without TLS"
            ) from None
        except RequestException as error:
            status = error.response.status_code if error.response is not None else None
            if status == 404 and not write:
                return None
            if status == 403:
                raise RegistryError(self._no_entry()) from None
            verb = "write" if write else "read"
            raise RegistryError(f"{self}: cannot {verb} {name} ({_reason(error)})") from None
        except DXFError as error:
            if type(error).__name__ == "DXFDigestMismatchError":
                raise
            raise RegistryError(f"{self}: {name}: {error}") from None
        except (ValueError, KeyError) as error:
            raise RegistryError(f"{self}: {name}: not a registry's answer ({error})") from None

    def _no_entry(self) -> str:
        return (
            f"{self} does not let us in: `docker login {self.address.host}` with an account that "
            "may use this repository"
        )

    def _dxf(self) -> DXF:
        """This thread's connection."""
        found: DXF | None = getattr(self._local, "dxf", None)
        if found is None:
            from dxf import DXF

            found = DXF(
                self.address.api_host,
                self.address.repository(self.name),
                auth=self._authenticate,
                insecure=self.address.plain_http,
                tlsverify=str(self.ca_bundle) if self.ca_bundle else True,
                timeout=(CONNECT_SECONDS, READ_SECONDS),  # type: ignore[arg-type]
            )
            # Keeps the connection open between requests.
            found.__enter__()
            self._local.dxf = found
        return found

    def _authenticate(self, dxf: Any, response: Response) -> None:
        known = None if self.address.plain_http else credentials_of(self.address.host)
        dxf.authenticate(
            known.username if known else None,
            known.password if known else None,
            response=response,
        )


def _may_pass(error: BaseException) -> bool:
    from requests.exceptions import ConnectionError, RequestException, SSLError, Timeout

    if isinstance(error, SSLError):
        return False
    if isinstance(error, RequestException) and error.response is not None:
        return error.response.status_code == 429 or error.response.status_code >= 500
    return isinstance(error, (ConnectionError, Timeout))


def _reason(error: BaseException) -> str:
    """The innermost reason of a failed request, in a few words."""
    from requests.exceptions import HTTPError

    if isinstance(error, HTTPError) and error.response is not None:
        return f"it answered {error.response.status_code} {error.response.reason}"
    inner: Any = error
    while getattr(inner, "args", None) and isinstance(inner.args[0], BaseException):
        inner = inner.args[0]
    inner = getattr(inner, "reason", inner)
    text = str(inner)
    return text.rpartition(": ")[2] if text.startswith("<") else text
