"""Nobody signs a file with another key than ours: the real cosign, and what attackers write.

cosign before August 2026 verifies with a public key that stands where a certificate should, in
place of the one that it was told: GHSA-fx35-mq7g-6g98.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from conftest import Keys
from rocm_images.errors import RegistryError
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.trust import Signer, Trust


@pytest.fixture
def cosign(keys: Keys, each_cosign: Path) -> Cosign:
    path = f"{each_cosign.parent}:{keys.environment['PATH']}"
    return Cosign(None, {**keys.environment, "PATH": path})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "catalogue.json"
    path.write_text("what is signed")
    return path


def ours(keys: Keys) -> Trust:
    return Trust(key=str(keys.our_public))


def forged(signed: str, **changes: object) -> bytes:
    return json.dumps({**json.loads(signed), **changes}).encode()


def test_our_signature_of_this_file_counts_and_no_other(
    cosign: Cosign, keys: Keys, file: Path
) -> None:
    signature = cosign.sign_file(file, Signer(str(keys.ours)))
    assert cosign.verify_file(file, signature.encode(), ours(keys))
    assert not cosign.verify_file(file, signature.encode(), Trust(key=str(keys.others_public)))
    assert not cosign.verify_file(file, forged(signature, base64Signature="AAAA"), ours(keys))
    file.write_text("something else")
    assert not cosign.verify_file(file, signature.encode(), ours(keys))


@pytest.mark.parametrize("name", ["cert", "Cert", "CERT"])
def test_a_signature_that_brings_its_own_key_does_not_count(
    cosign: Cosign, keys: Keys, file: Path, name: str
) -> None:
    signature = cosign.sign_file(file, Signer(str(keys.others)))
    own = keys.others_public.read_bytes()
    for text in (own.decode(), base64.b64encode(own).decode()):
        assert not cosign.verify_file(file, forged(signature, **{name: text}), ours(keys))


def test_who_cannot_be_asked_says_nothing_of_the_file(
    cosign: Cosign, keys: Keys, file: Path, tmp_path: Path
) -> None:
    signature = cosign.sign_file(file, Signer(str(keys.ours))).encode()
    with pytest.raises(
        RegistryError, match=r"verify-blob catalogue\.json failed \(.*loading public"
    ):
        cosign.verify_file(file, signature, Trust(key=str(tmp_path / "gone.pub")))
    with pytest.raises(RegistryError, match="unrecognized scheme"):
        cosign.verify_file(file, signature, Trust(key="nokms://key"))
