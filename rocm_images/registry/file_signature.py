"""Reads a file's signature, and gives cosign no more of it than a signature may say.

cosign before August 2026 takes a public key that stands in the place of the certificate for the
one to verify with, whatever key or identity it was told (GHSA-fx35-mq7g-6g98): with it, everybody
signs as anybody. It also reads a document's names in any case, and the last of two.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rocm_images.foreign import parsed

_CERTIFICATE = re.compile(
    rb"\s*-----BEGIN CERTIFICATE-----\r?\n[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*"
)

# How cosign begins where a file's signature does not verify: of each kind of key, of an identity.
# Whatever else it says leaves open whether the file is signed.
NOT_SIGNED = re.compile(
    r"invalid signature when validating |ecdsa: Invalid IEEE_P1363 encoded bytes$"
    r"|crypto/rsa: verification error$|failed to verify signature$"
    r"|none of the expected identities matched |expected GitHub Workflow Repository not found "
    r"|cert verification failed: x509: certificate signed by unknown authority"
    r"|leaf certificate verification failed$"
    r"|(loading verifier from key opts: loading cert: )?x509: malformed "
    r"|certificate does not include required embedded SCT |error verifying bundle: "
    r"(?!(verifying bundle with trusted root: )?rekor log public key not found)"
)


@dataclass(frozen=True)
class FileSignature:
    """What `cosign sign-blob --bundle` wrote."""

    signature: str
    certificate: bytes | None
    """Of an identity, in PEM; a key's signature needs none."""
    log_entry: Mapping[str, Any] | None
    """What the transparency log answered, which cosign verifies."""

    @classmethod
    def read(cls, content: bytes) -> FileSignature | None:
        """The signature, or None where this is none."""
        try:
            document = parsed(content)
            signature, log = document["base64Signature"], document.get("rekorBundle")
            certificate = _decoded(document["cert"]) if document.get("cert") else None
            found = cls(signature, certificate, None if log is None else _entry(log))
            sound = _decoded(signature) and (not certificate or _CERTIFICATE.fullmatch(certificate))
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        return found if sound else None

    def of_key(self, folder: Path) -> list[str]:
        """What cosign is to be told where a key is trusted; its files are written to `folder`."""
        path = folder / "signature"
        path.write_text(self.signature, encoding="ascii")
        return [f"--signature={path}"]

    def of_identity(self, folder: Path) -> list[str] | None:
        """The same where an identity is trusted; None: the signature is nobody's."""
        if self.certificate is None or self.log_entry is None:
            return None
        certificate, bundle = folder / "certificate.pem", folder / "bundle.json"
        certificate.write_bytes(self.certificate)
        document = {
            "base64Signature": self.signature,
            "cert": base64.b64encode(self.certificate).decode("ascii"),
            "rekorBundle": self.log_entry,
        }
        bundle.write_text(json.dumps(document), encoding="ascii")
        # Named, too, it has to be a certificate, and the bundle's the same one.
        return [f"--certificate={certificate}", f"--bundle={bundle}"]


def without_key(written: str) -> str:
    """What cosign wrote of a key's signature, without the key: nobody is to go by that one.

    Version 3 puts it in the place of the certificate.
    """
    document = parsed(written.encode())
    document.pop("cert", None)
    return json.dumps(document)


def _entry(log: Any) -> dict[str, Any]:
    """What cosign reads of a log's answer; where that lacks something, cosign crashes."""
    timestamp, payload = log["SignedEntryTimestamp"], log["Payload"]
    texts = {name: payload[name] for name in ("body", "logID")}
    numbers = {name: payload[name] for name in ("integratedTime", "logIndex")}
    if not all(type(number) is int and 0 <= number < 1 << 63 for number in numbers.values()):
        raise ValueError("no number of an entry")
    if not (_decoded(timestamp) and _decoded(texts["body"]) and isinstance(texts["logID"], str)):
        raise ValueError("nothing in it")
    return {"SignedEntryTimestamp": timestamp, "Payload": {**texts, **numbers}}


def _decoded(text: Any) -> bytes:
    if not isinstance(text, str):
        raise TypeError("no text")
    return base64.b64decode(text, validate=True)
