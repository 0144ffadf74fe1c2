"""Of a layout that somebody handed over, cosign is given what signs the image and no more."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rocm_images.errors import VerificationFailed
from rocm_images.registry.layout_signatures import holds_statements, signatures_alone

Put = Callable[[bytes], dict[str, Any]]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    """Puts a blob into the layout; gives its descriptor."""
    blobs = tmp_path / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def put(content: bytes) -> dict[str, Any]:
        name = hashlib.sha256(content).hexdigest()
        (blobs / name).write_bytes(content)
        return {"digest": f"sha256:{name}", "size": len(content)}

    return put


def document(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def layout(folder: Path, put: Put, *signed: bytes, **more: Any) -> str:
    """An image with a layer, and one manifest of signatures; returns the image's digest."""
    layer = put(b"a layer")
    image = put(document(config=put(b"no JSON"), layers=[layer]))
    parts = [put(one) for one in signed]
    entries = [image, put(document(config=put(b"{}"), layers=parts, **more))]
    (folder / "index.json").write_bytes(document(manifests=entries))
    return str(image["digest"])


def test_layers_and_what_belongs_to_nothing_are_left_out(tmp_path: Path, put: Put) -> None:
    image = layout(tmp_path, put, document(payload="AAAA"))
    put(document(subject={"digest": image}, config={}, layers=[]))
    with signatures_alone(tmp_path, image) as alone:
        held = {path.read_bytes() for path in (alone / "blobs" / "sha256").iterdir()}
        assert (alone / "index.json").read_bytes() == (tmp_path / "index.json").read_bytes()
    assert not alone.exists()
    assert {b"{}", document(payload="AAAA")} < held
    assert len(held) == 4
    assert not any(b"subject" in one or one == b"a layer" for one in held)


REFUSED: dict[str, dict[str, Any]] = {
    "a bundle": {"subject": {}},
    "a bundle in another case": {"Subject": {}},
    "a bundle in letters that Go takes for others": {"\u017fubject": {}},
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("within", [True, False], ids=["as a signature", "as its manifest"])
def test_a_bundle_is_refused(tmp_path: Path, put: Put, name: str, within: bool) -> None:
    fields = REFUSED[name]
    image = layout(
        tmp_path, put, document(**(fields if within else {})), **({} if within else fields)
    )
    with pytest.raises(VerificationFailed, match="a bundle that cosign 3 alone reads"):
        signatures_alone(tmp_path, image).__enter__()


@pytest.mark.parametrize("content", [b"no JSON", b'{"a": 1} {"subject": {}}', b"[]", b"\xff"])
def test_what_is_no_document_is_refused(tmp_path: Path, put: Put, content: bytes) -> None:
    image = layout(tmp_path, put, content)
    with pytest.raises(VerificationFailed, match="no signature or statement of this program"):
        signatures_alone(tmp_path, image).__enter__()


@pytest.mark.parametrize("digest", ["sha256:../../index.json", "../index.json", "", None])
def test_nothing_is_read_elsewhere(tmp_path: Path, put: Put, digest: str | None) -> None:
    image = layout(tmp_path, put)
    index = json.loads((tmp_path / "index.json").read_text())
    index["manifests"].append({"digest": digest})
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(VerificationFailed, match="do not use it"):
        signatures_alone(tmp_path, image).__enter__()


@pytest.mark.parametrize("entry", [{}, {"annotations": None}, {"annotations": {"kind": "sigs"}}])
def test_a_layout_without_statements_holds_none(tmp_path: Path, entry: dict[str, Any]) -> None:
    (tmp_path / "index.json").write_bytes(document(manifests=[entry]))
    assert not holds_statements(tmp_path)
    attached = {"annotations": {"kind": "dev.cosignproject.cosign/atts"}}
    (tmp_path / "index.json").write_bytes(document(manifests=[entry, attached]))
    assert holds_statements(tmp_path)
