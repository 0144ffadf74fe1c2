"""What is a manifest, and why something else is none."""

from __future__ import annotations

import json
import random

import pytest

from made_up_registry import GOOD, Image, digest, manifest, part
from rocm_images.registry.manifest import Manifest


def test_an_image_and_an_index_are_manifests() -> None:
    image = Image({"a": "b"})
    found = Manifest(image.top)
    assert (found.digest, found.document) == (digest(image.top), image.document)
    image.index(image.entry(), image.attestation(digest(image.top)))
    assert len(Manifest(image.top).document["manifests"]) == 2


@pytest.mark.parametrize(
    "content",
    [
        manifest(mediaType=None),
        manifest(subject={"anything": 1}, annotations={"Config": "a"}),
        json.dumps(json.loads(GOOD), indent=3).encode(),
        manifest(config=part(size=0, data="e30=", urls=[])),
    ],
)
def test_what_is_written_otherwise_is_one_all_the_same(content: bytes) -> None:
    assert Manifest(content).content == content


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (b"<html>", "it is no JSON: Expecting value"),
        (b"[]", "it is no JSON object"),
        (b"[" * 100_000, "it is more than 100 levels deep"),
        (b"\xff", "it is no UTF-8"),
        (b'{"a": 1, "a": 1}', "a key is there twice"),
        (b'{"a": Infinity}', "Infinity is no number of JSON's"),
        (b"[" + b"[]," * 1_000_000 + b"[]]", "it has more than 1000000 values"),
        (manifest(Layers=[]), "the key Layers is written in another case"),
        (manifest(layers=[part(digest="x")]), r"layers\.0\.digest: String should match"),
        (manifest(manifests=[]), "either config and layers, or manifests"),
        (manifest(schemaVersion=3), "schemaVersion: Input should be less than or equal to 2"),
        (GOOD + b" " * (4 << 20), "it is larger than 4 MiB"),
    ],
)
def test_what_is_none_says_why(content: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Manifest(content)


def test_whatever_happens_to_its_bytes_it_is_one_or_says_why() -> None:
    chance = random.Random(18)
    refused = 0
    for _ in range(2000):
        content = bytearray(GOOD)
        for _ in range(chance.randint(1, 3)):
            begin = chance.randrange(len(content))
            end = begin + chance.choice([0, 1, 1, 5, 50])
            content[begin:end] = chance.choice([b"", b"{", b"]", b"null", b"9", b"\xf0", b'"a":'])
        try:
            Manifest(bytes(content))
        except ValueError:
            refused += 1
    assert 1000 < refused < 2000
