"""The ways in which a made-up registry misbehaves, each by its name.

A misbehaviour answers a request instead, or changes what the image is made of; what it leaves alone
is answered as a registry does.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from contextlib import suppress

from made_up_registry import (
    CONFIG,
    GOOD,
    INDEX,
    MANIFEST,
    Answer,
    Image,
    MadeUpRegistry,
    Request,
    digest,
    manifest,
    part,
    says,
    sends,
)

ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m"
TEXT = GOOD.decode()
HTML = b"<!DOCTYPE html><html><body>Sign in to the guest network</body></html>"
BOMB = gzip.compress(b" " * (64 << 20))


def misbehave(registry: MadeUpRegistry, name: str) -> None:
    """Let it misbehave so from now on, with nothing remembered."""
    registry.behave()
    if name in ANSWERS:
        answer = ANSWERS[name]
        registry.answers = lambda request: (
            answer(request) if request.wants_manifest else registry.as_registries_do(request)
        )
    else:
        IMAGES[name](registry.image)


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
