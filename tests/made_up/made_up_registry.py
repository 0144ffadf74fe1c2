"""A registry on loopback with one image, under every tag but `catalogue`; all of it is made up."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

OCI = "application/vnd.oci.image"
MANIFEST, INDEX, CONFIG = f"{OCI}.manifest.v1+json", f"{OCI}.index.v1+json", f"{OCI}.config.v1+json"
LAYER = f"{OCI}.layer.v1.tar"
Answer: TypeAlias = "Callable[[Request], object]"


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class Image:
    """An image by its blobs and its manifests, in memory."""

    def __init__(self, labels: Mapping[str, str] | None = None) -> None:
        self.labels = labels or {}
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.tags: dict[str, bytes] = {}
        """Those that were put; every other tag stands for `top`."""
        layer = self.blob(b"\0" * 1024, LAYER)
        self.document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.config({"Labels": self.labels}),
            "layers": [layer],
        }
        self.top = self.put(self.document)

    def blob(self, content: bytes, kind: str) -> dict[str, Any]:
        """Keep a blob; gives its descriptor."""
        self.blobs[digest(content)] = content
        return {"mediaType": kind, "digest": digest(content), "size": len(content)}

    def config(self, config: object, **more: object) -> dict[str, Any]:
        document = {"architecture": "amd64", "os": "linux", "config": config, **more}
        return self.blob(json.dumps(document).encode(), CONFIG)

    def put(self, document: object) -> bytes:
        """Keep a manifest, which every tag stands for from now on."""
        self.top = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.manifests[digest(self.top)] = self.top
        return self.top

    def entry(self, os: str = "linux", arch: str = "amd64", **more: object) -> dict[str, Any]:
        """The manifest that was put last, as an index names it."""
        platform = {"os": os, "architecture": arch}
        found = {"mediaType": MANIFEST, "digest": digest(self.top), "size": len(self.top)}
        return {**found, "platform": platform, **more}

    def attestation(self, of: str, **more: object) -> dict[str, Any]:
        """As BuildKit lays one beside an image."""
        notes = {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": of,
        }
        before, found = self.top, {}
        self.put({**self.document, "config": self.config({}, of=of)})
        found = self.entry("unknown", "unknown", annotations=notes)
        self.top = before
        return {**found, **more}

    def foreign(self) -> dict[str, Any]:
        """Another image, as an index names it."""
        before = self.top
        self.put({**self.document, "config": self.config({"Cmd": ["foreign"]})})
        found = self.entry()
        self.top = before
        return found

    def index(self, *entries: Mapping[str, Any], **more: object) -> None:
        """Let every tag stand for an index."""
        kind = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        self.put({**kind, **more})


class Request:
    """One question, and the ways to answer it."""

    def __init__(self, handler: BaseHTTPRequestHandler, closing: threading.Event) -> None:
        self.handler = handler
        self.closing = closing
        self.path, self.method = handler.path, handler.command
        self.content = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        if handler.headers.get("Transfer-Encoding") == "chunked":
            while size := int(handler.rfile.readline(), 16):
                self.content += handler.rfile.read(size + 2)[:-2]
            handler.rfile.readline()
        self.headers = handler.headers

    def answer(
        self, content: bytes, status: int = 200, reason: str | None = None, **headers: str
    ) -> None:
        """A whole answer; `_` in the name of a header stands for `-`."""
        self.head(status, reason, Content_Length=str(len(content)), **headers)
        if self.method != "HEAD":
            self.handler.wfile.write(content)

    def head(self, status: int = 200, reason: str | None = None, **headers: str) -> None:
        self.handler.send_response(status, reason)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()

    def raw(self, content: bytes) -> None:
        self.handler.close_connection = True
        self.handler.wfile.write(content)

    def slowly(self, content: bytes, times: int = 1_000_000, pause: float = 0.01) -> None:
        """The same bytes again and again, until the other side or the registry has enough."""
        self.handler.close_connection = True
        for _ in range(times):
            self.handler.wfile.write(content)
            self.handler.wfile.flush()
            if self.closing.wait(pause):
                return

    @property
    def wants_manifest(self) -> bool:
        return "/manifests/" in self.path


class MadeUpRegistry:
    """Serves until it is closed; `image` and `answers` may change while it does."""

    def __init__(self, context: ssl.SSLContext | None = None, *, host: str = "127.0.0.1") -> None:
        self.labels: Mapping[str, str] = {}
        """Those of its image."""
        self.image = Image()
        self.answers: Answer | None = None
        """Answers instead."""
        self.asked: list[str] = []
        self.told: list[str] = []
        """Every Authorization header that it was sent."""
        self.connections: set[tuple[str, int]] = set()
        """The addresses from which it was asked."""
        self._closing = threading.Event()
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                registry.asked.append(f"{self.command} {self.path}")
                registry.connections.add(self.client_address)
                registry.told += self.headers.get_all("Authorization", [])
                with suppress(OSError):
                    (registry.answers or registry.as_registries_do)(
                        Request(self, registry._closing)
                    )

            do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _any

            def log_message(self, *_: object) -> None: ...

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None: ...

        self._server = Server((host, 0), Handler)
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self.address = f"{host}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def behave(self) -> None:
        """Behave as registries do from now on, with nothing remembered."""
        self.image, self.answers = Image(self.labels), None
        self.asked.clear()
        self.told.clear()
        self.connections.clear()

    def as_registries_do(self, request: Request) -> None:
        """What a registry with this image answers; it takes what it is given."""
        name = request.path.rpartition("/")[2].partition("?")[0]
        if request.method not in ("GET", "HEAD"):
            if request.wants_manifest:
                self.image.tags[name] = request.content
            else:
                self.image.blobs[digest(request.content)] = request.content
            request.answer(b"", 201, Location=f"/v2/uploads/{digest(request.content)}?a=b")
            return
        if not request.wants_manifest:
            content = self.image.blobs.get(name)
        elif ":" in name:
            content = self.image.manifests.get(name)
        else:
            content = self.image.tags.get(name, None if name == "catalogue" else self.image.top)
        if content is None:
            request.answer(b'{"errors": []}', 404)
            return
        request.answer(content, Docker_Content_Digest=digest(content))

    @property
    def writes(self) -> list[str]:
        """Requests that would change something."""
        return [one for one in self.asked if not one.startswith(("GET ", "HEAD "))]

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> MadeUpRegistry:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def sends(content: bytes, **headers: str) -> Answer:
    return lambda request: request.answer(content, **headers)


def says(status: int, reason: str | None = None, **headers: str) -> Answer:
    return lambda request: request.answer(b"", status, reason, **headers)


def manifest(**changes: object) -> bytes:
    """A manifest of the image with something changed; a part that is None is left out."""
    document = {**Image().document, **changes}
    return json.dumps({k: v for k, v in document.items() if v is not None}).encode()


def part(**changes: object) -> dict[str, Any]:
    """A descriptor with something changed."""
    return {**Image().document["config"], **changes}


GOOD = manifest()
