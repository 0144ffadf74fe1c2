"""The signature of a file counts by its certificate, and by no key in the certificate's place."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, fields
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from made_up_fulcio import GOOD, P256, Fulcio, Signed, trusted
from rocm_images.errors import RegistryError
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.trust import Trust


@dataclass(frozen=True)
class Offline(Trust):
    """The same trust, where the CA of the tests stands in for Fulcio."""

    chain: Path | None = None

    @property
    def arguments(self) -> list[str]:
        ignored = ["--insecure-ignore-sct=true", "--insecure-ignore-tlog=true"]
        return [*super().arguments, f"--certificate-chain={self.chain}", *ignored]


def test_a_files_signature_counts_by_its_certificate_and_by_no_key_in_its_place(
    each_cosign: Path, fulcio: Fulcio
) -> None:
    who = {one.name: getattr(trusted(), one.name) for one in fields(Trust)}
    trust = Offline(**who, chain=fulcio.chain)
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "TUF_ROOT": str(fulcio.folder / "tuf")}
    environment = {"PATH": str(each_cosign.parent), "HOME": str(fulcio.folder), **nowhere}
    entry = {"body": "AAAA", "integratedTime": 1, "logIndex": 1, "logID": "c0"}

    def verified_with(certificate: bytes, signature: str, trust: Trust = trust) -> bool:
        document = {
            "base64Signature": signature,
            "cert": base64.b64encode(certificate).decode(),
            "rekorBundle": {"SignedEntryTimestamp": "AAAA", "Payload": entry},
        }
        content = json.dumps(document).encode()
        return Cosign(None, environment).verify_file(fulcio.blob, content, trust)

    def made_by(signed: Signed) -> bool:
        fulcio.sign(signed)
        leaf = (fulcio.folder / "leaf.pem").read_bytes()
        return verified_with(leaf, (fulcio.folder / "signature").read_text())

    assert made_by(Signed())
    assert not made_by(Signed(GOOD.replace("some-owner", "evil")))
    assert not made_by(Signed(repository="evil/calls-ours"))
    assert not made_by(Signed(issuer="https://gitlab.com"))
    # GHSA-fx35-mq7g-6g98: cosign verifies with a key in the place of the certificate.
    key = ec.generate_private_key(P256)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    own = base64.b64encode(key.sign(fulcio.blob.read_bytes(), ec.ECDSA(hashes.SHA256())))
    assert not verified_with(public, own.decode())
    disguised = public.replace(b"PUBLIC KEY", b"CERTIFICATE")
    assert not verified_with(disguised, own.decode())
    # Without Fulcio's and Rekor's keys nobody knows whose it is.
    fulcio.sign(Signed())
    leaf, signature = (fulcio.folder / name for name in ("leaf.pem", "signature"))
    with pytest.raises(RegistryError, match=r"getting [Rr]ekor public keys"):
        verified_with(leaf.read_bytes(), signature.read_text(), trusted())
