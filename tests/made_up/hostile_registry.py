"""A registry on loopback that misbehaves, each way by its name. What it says is all made up.

It has one image, under every tag but `catalogue`. A misbehaviour answers a request instead, or
changes what the image is made of; what it leaves alone is answered as a registry does.
"""

from __future__ import annotations

import gzip
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
ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m"
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


class HostileRegistry:
    """Serves until it is closed; `misbehave` may change while it does."""

    def __init__(self, context: ssl.SSLContext | None = None, *, host: str = "127.0.0.1") -> None:
        self.labels: Mapping[str, str] = {}
        """Those of its image."""
        self.image = Image()
        self.answers: Answer | None = None
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

    def misbehave(self, name: str) -> None:
        """Misbehave so from now on, with nothing remembered."""
        self.behave()
        if name in ANSWERS:
            answer = ANSWERS[name]
            self.answers = lambda request: (
                answer(request) if request.wants_manifest else self.as_registries_do(request)
            )
        else:
            IMAGES[name](self.image)

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

    def __enter__(self) -> HostileRegistry:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def sends(content: bytes, **headers: str) -> Answer:
    return lambda request: request.answer(content, **headers)


def says(status: int, reason: str | None = None, **headers: str) -> Answer:
    return lambda request: request.answer(b"", status, reason, **headers)


def _chunks(request: Request) -> None:
    """An answer without an end."""
    request.head(Transfer_Encoding="chunked")
    piece = b" " * 0x40000
    with suppress(OSError):
        while not request.closing.is_set():
            request.handler.wfile.write(b"40000\r\n" + piece + b"\r\n")


def _trickle(request: Request) -> None:
    request.head(Content_Length="1000000")
    request.slowly(b" ")


def _trickled_headers(request: Request) -> None:
    request.raw(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    request.slowly(b"x")


def _cut(request: Request) -> None:
    request.head(Content_Length="1000")
    request.raw(b'{"schemaVersion": 2, ')


def _silence(request: Request) -> None:
    request.closing.wait()


def manifest(**changes: object) -> bytes:
    """A manifest of the image with something changed; a part that is None is left out."""
    document = {**Image().document, **changes}
    return json.dumps({k: v for k, v in document.items() if v is not None}).encode()


def part(**changes: object) -> dict[str, Any]:
    """A descriptor with something changed."""
    return {**Image().document["config"], **changes}


GOOD = manifest()
TEXT = GOOD.decode()
HTML = b"<!DOCTYPE html><html><body>Sign in to the guest network</body></html>"
BOMB = gzip.compress(b" " * (64 << 20))

ANSWERS: dict[str, Answer] = {
    # Something else than a manifest.
    "HTML": sends(HTML, Content_Type="text/html"),
    "HTML with the digest of HTML": sends(HTML, Docker_Content_Digest=digest(HTML)),
    "nothing": sends(b""),
    "nothing, as a manifest": sends(b"", Content_Type=MANIFEST, Docker_Content_Digest=digest(b"")),
    "204": says(204),
    "206 with half of it": lambda request: request.answer(GOOD[:50], 206),
    "a list": sends(b"[]"),
    "a number": sends(b"7"),
    "null": sends(b"null"),
    "a text": sends(b'"manifest"'),
    "an object": sends(b"{}"),
    "NaN": sends(b'{"schemaVersion": NaN}'),
    "a number of 5000 digits": sends(b'{"schemaVersion": ' + b"9" * 5000 + b"}"),
    "no UTF-8": sends(b'{"schemaVersion": 2, "\xff": 1}'),
    "half a surrogate": sends(TEXT.replace("{", '{"annotations": {"a": "\\ud800"}, ', 1).encode()),
    "deep lists": sends(b"[" * 100_000),
    "deep objects": sends(b'{"config":' * 100_000),
    "a truncated manifest": sends(GOOD[:-20]),
    "more behind it": sends(GOOD + b"{}"),
    "more than 4 MiB": sends(b" " * (4 << 20) + GOOD),
    # A manifest that does not hold what it must.
    "schema 1": sends(manifest(schemaVersion=1)),
    "a schema version that is a text": sends(manifest(schemaVersion="2")),
    "no schema version": sends(manifest(schemaVersion=None)),
    "no configuration": sends(manifest(config=None)),
    "no layers": sends(manifest(layers=None)),
    "layers that are none": sends(manifest(layers={"a": 1})),
    "a layer that is a number": sends(manifest(layers=[7])),
    "a configuration that is a list": sends(manifest(config=[])),
    "a digest that is none": sends(manifest(config=part(digest="sha256:latest"))),
    "a digest that is a path": sends(manifest(config=part(digest="sha256:../../etc"))),
    "a digest that is a number": sends(manifest(config=part(digest=7))),
    "a digest with a line behind it": sends(manifest(config=part(digest=f"{digest(b'')}\n"))),
    "a negative size": sends(manifest(config=part(size=-1))),
    "a size that is true": sends(manifest(config=part(size=True))),
    "a size without an end": sends(manifest(config=part(size=10**30))),
    "no kind of part": sends(manifest(config=part(mediaType=None))),
    "a kind that is a list": sends(manifest(mediaType=[])),
    "an image that says it is an index": sends(manifest(mediaType=INDEX)),
    "an image and an index at once": sends(manifest(manifests=[])),
    "a key twice": sends(TEXT.replace("{", '{"config": {}, ', 1).encode()),
    "a key in another case too": sends(TEXT.replace("{", '{"Config": {}, ', 1).encode()),
    "a key that Go takes for another": sends(TEXT.replace("{", '{"layer\u017f": [], ', 1).encode()),
    "annotations that are none": sends(manifest(config=part(annotations={"a": 1}))),
    "a key without an end": sends(manifest(config=part(annotations={"k" * 1_000_000: 7}))),
    # Headers.
    "another digest in the header": sends(GOOD, Docker_Content_Digest=digest(b"another")),
    "a digest in the header that is none": sends(GOOD, Docker_Content_Digest="latest"),
    "an empty digest in the header": sends(GOOD, Docker_Content_Digest=""),
    "compressed unasked": sends(gzip.compress(GOOD), Content_Encoding="gzip"),
    "a bomb": sends(BOMB, Content_Encoding="gzip"),
    "a bomb in a bomb": sends(gzip.compress(BOMB), Content_Encoding="gzip, gzip"),
    # No end, or none in time.
    "a body without an end": _chunks,
    "a body that trickles": _trickle,
    "headers that trickle": _trickled_headers,
    "interim answers without an end": lambda request: request.slowly(b"HTTP/1.1 100 Go on\r\n\r\n"),
    "silence": _silence,
    # Broken off, or not HTTP.
    "a connection that is cut": lambda request: request.raw(b""),
    "a body that is cut": _cut,
    "no HTTP": lambda request: request.raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "a line without an end": lambda request: request.raw(b"HTTP/1.1 200 " + b"x" * 200_000),
    "a thousand headers": lambda request: request.head(**{f"X_{n}": "x" for n in range(1000)}),
    "a chunk that is none": lambda request: request.raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    ),
    # Other answers.
    "500": says(500),
    "503 with escapes": says(503, ESCAPES),
    "429 for years": says(429, Retry_After="99999999"),
    "403": says(403),
    "400 with escapes": lambda request: request.answer(ESCAPES.encode(), 400, ESCAPES),
    "999": says(999),
    "a redirect to itself": lambda request: request.answer(b"", 307, Location=request.path),
    "a redirect to nowhere": says(302),
    "a redirect to no address": says(302, Location="http://[::1"),
    "a redirect to a file": says(302, Location="file:///etc/passwd"),
    "a redirect to a port that is none": says(302, Location="http://127.0.0.1:99999/"),
    "a challenge for a password": says(401, WWW_Authenticate='Basic realm="x"'),
    "a challenge of another's": says(
        401, WWW_Authenticate='Bearer realm="https://tokens.invalid/t",service="x"'
    ),
    "a challenge that is none": says(401, WWW_Authenticate='"""' * 1000),
    "no challenge": says(401),
}
"""What it answers to whoever asks for a manifest: not one of these is a manifest that may count."""

ENDLESS = (
    "a body without an end",
    "a body that trickles",
    "headers that trickle",
    "interim answers without an end",
    "silence",
)
"""Those that only a deadline or a limit ends."""


def _config(kind: object) -> Callable[[Image], object]:
    return lambda image: image.put({**image.document, "config": image.config(kind)})


def _config_of(content: bytes) -> Callable[[Image], object]:
    return lambda image: image.put({**image.document, "config": image.blob(content, CONFIG)})


def _altered(image: Image) -> None:
    image.blobs[image.document["config"]["digest"]] = b'{"config": {"Labels": {"a": "b"}}}'


def _without_config(image: Image) -> None:
    del image.blobs[image.document["config"]["digest"]]


def _wrong_size(image: Image) -> None:
    image.put({**image.document, "config": {**image.document["config"], "size": 3}})


def _kind(part_of: str, kind: str) -> Callable[[Image], object]:
    def change(image: Image) -> None:
        document = json.loads(json.dumps(image.document))
        found = document[part_of]
        (found[0] if part_of == "layers" else found)["mediaType"] = kind
        image.put(document)

    return change


def _nested(image: Image) -> None:
    image.index(image.entry())
    image.index(image.entry() | {"mediaType": INDEX})


def _said_to_be_an_image(image: Image) -> None:
    image.index(image.entry())
    image.index(image.entry())


def _lacking(image: Image) -> None:
    image.index(image.entry())
    del image.manifests[digest(json.dumps(image.document).encode())]


def _attested(**change: object) -> Callable[[Image], object]:
    def lay(image: Image) -> None:
        entry = image.entry()
        image.index(entry, image.attestation(entry["digest"], **change))

    return lay


IMAGES: dict[str, Callable[[Image], object]] = {
    "an altered configuration": _altered,
    "a missing configuration": _without_config,
    "a configuration of another size": _wrong_size,
    "a configuration of HTML": _config_of(HTML),
    "a configuration that is a list": _config_of(b"[]"),
    "a configuration that is deep": _config_of(b'{"config":' * 100_000),
    "a configuration that is no UTF-8": _config_of(b'{"config": {"Labels": {"a": "\xff"}}}'),
    "a configuration with a key twice": _config_of(b'{"config": {}, "config": {}}'),
    "a configuration with a key in another case": _config_of(b'{"config": {}, "Config": {}}'),
    "settings that are a list": _config([]),
    "labels that are a list": _config({"Labels": ["a"]}),
    "labels that are a text": _config({"Labels": "a"}),
    "a label that is a number": _config({"Labels": {"rocm-serving-images.build-id": 7}}),
    "a label that is half a surrogate": _config({"Labels": {"a": "\ud800"}}),
    "labels in another case": _config({"labels": {"a": "b"}}),
    "the image first, for another platform, and a foreign one": lambda image: image.index(
        image.entry("linux", "arm64"), image.foreign()
    ),
    "the image and a foreign one": lambda image: image.index(image.entry(), image.foreign()),
    "the image twice": lambda image: image.index(image.entry(), image.entry()),
    "an index of nothing": lambda image: image.index(),
    "an index for another platform": lambda image: image.index(image.entry("linux", "arm64")),
    "an index without platforms": lambda image: image.index(image.entry(platform=None)),
    "an index of an unknown platform": lambda image: image.index(image.entry("unknown", "unknown")),
    "an index that does not say so": lambda image: image.index(image.entry(), mediaType=None),
    "an index in an index": _nested,
    "an index that is said to be an image": _said_to_be_an_image,
    "an index that lacks its image": _lacking,
    "an attestation without its notes": _attested(annotations=None),
    "an attestation of another image": _attested(
        annotations={
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": digest(b"another"),
        }
    ),
    "an attestation that is an index": _attested(mediaType=INDEX),
    "an artifact": _kind("config", "application/vnd.oci.empty.v1+json"),
    "an artifact of a kind with escapes": _kind("config", ESCAPES),
    "an artifact of a kind without an end": _kind("config", "x" * 1_000_000),
    "an image without layers": lambda image: image.put({**image.document, "layers": []}),
    "a layer of another kind": _kind("layers", "application/x-sh"),
    "a layer from elsewhere": _kind(
        "layers", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    ),
    "an image that does not say so": lambda image: image.put(
        {k: v for k, v in image.document.items() if k != "mediaType"}
    ),
}
"""What is in it: well-formed manifests, none of which is an image that may count."""
