"""What cosign says of a file's signature is told as what it is: no signature, or nobody knows."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from made_up_programs import COSIGN_VERSION
from rocm_images.errors import RegistryError, VerificationFailed
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.file_signature import FileSignature
from rocm_images.registry.trust import Signer, Trust

KEY = Trust(key="cosign.pub")
IDENTITY = Trust(identity="who", issuer="https://issuer")
PEM = "-----BEGIN {0}-----\nAAAA\n-----END {0}-----\n"
ENTRY = {
    "SignedEntryTimestamp": "AAAA",
    "Payload": {"body": "AAAA", "integratedTime": 1, "logIndex": 2, "logID": "c0"},
}
IMAGE = "registry:5000/name@sha256:" + "a" * 64


def text(kind: str) -> str:
    return base64.b64encode(PEM.format(kind).encode()).decode()


GOOD = {"base64Signature": "AAAA", "cert": text("CERTIFICATE"), "rekorBundle": ENTRY}


@pytest.fixture
def cosign(tmp_path: Path) -> Cosign:
    """A stand-in, which ends with 1 and says what stands in a file; with 0 where there is none.

    It keeps the arguments that it was given, and the bundle.
    """
    program = tmp_path / "cosign"
    program.write_text(
        f"#!/bin/sh\n{COSIGN_VERSION}\n"
        'cd "${0%/*}"\necho "$*" > arguments\n'
        'for word; do case "$word" in --bundle=*) cp "${word#--bundle=}" bundle;; esac; done\n'
        "test ! -e output || cat output\ntest -e said || exit 0\ncat said >&2\nexit 1\n"
    )
    program.chmod(0o755)
    return Cosign(None, {"PATH": f"{tmp_path}:{os.environ['PATH']}"})


def signature(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


# As cosign 2.5 said it, and 3.1 where it is named, of what the test's name says.
REFUSED = {
    "an altered file": "invalid signature when validating ASN.1 encoded signature",
    "no signature of a curve": "ecdsa: Invalid IEEE_P1363 encoded bytes",
    "an RSA key": "crypto/rsa: verification error",
    "an ed25519 key": "failed to verify signature",
    "another identity": "none of the expected identities matched what was in the certificate, got "
    "subjects [x] with issuer https://issuer",
    "another repository": "expected GitHub Workflow Repository not found in certificate",
    "another authority": "cert verification failed: x509: certificate signed by unknown authority "
    '(possibly because of "x509: ECDSA verification failure" while trying to verify)',
    "another authority, by 3.1": "leaf certificate verification failed",
    "no certificate": "x509: malformed certificate",
    "no certificate, by 3.1": "loading verifier from key opts: loading cert: x509: malformed "
    "serial number",
    "no timestamp": "certificate does not include required embedded SCT and no detached SCT was "
    "set",
    "another log entry, by 3.1": "error verifying bundle: verifying bundle with trusted root: "
    "unable to verify SET",
    "another log entry": "error verifying bundle: failed to extract signature from bundle: kind in "
    "body is required",
}
OPEN = {
    "no network": "getting Rekor public keys: updating local metadata and targets: error updating "
    'to TUF remote mirror: tuf: failed to download 13.root.json: Get "https://x/13.root.json": '
    "dial tcp: lookup x on 192.0.2.1:53: no such host",
    "no network for Fulcio": "getting Fulcio roots: initializing tuf: no such host",
    "no KMS": "getting public key: operation error KMS: GetPublicKey, get identity: get "
    "credentials: failed to refresh cached credentials, no EC2 IMDS role found",
    "a part that is not there": "loading public key: loading URL: unrecognized scheme: awskms://",
    "no key": "loading public key: open cosign.pub: no such file or directory",
    "no file": "open catalogue.json: no such file or directory",
    "an old root": "error verifying bundle: rekor log public key not found for payload. Check your "
    "TUF root (see cosign initialize)",
    "an old root, by 3.1": "error verifying bundle: verifying bundle with trusted root: rekor log "
    "public key not found for payload",
    "no key, by 3.1": "loading verifier from key opts: loading public key: open cosign.pub: no "
    "such file or directory",
    "no log": "searching log query: Post https://x: giving up after 4 attempt(s)",
    "an unknown option": "unknown flag: --insecure-ignore-tlog",
    "the words elsewhere": "getting public key: invalid signature when validating x",
    "nothing": "",
}


@pytest.mark.parametrize("trust", [KEY, IDENTITY], ids=["key", "identity"])
@pytest.mark.parametrize("said", REFUSED.values(), ids=REFUSED.keys())
def test_a_signature_that_does_not_verify_is_none(
    cosign: Cosign, tmp_path: Path, trust: Trust, said: str
) -> None:
    written = f"WARNING: Skipping\nError: {said}\nerror during command execution: {said}\n"
    (tmp_path / "said").write_text(written)
    assert not cosign.verify_file(tmp_path / "file", signature(), trust)


@pytest.mark.parametrize("trust", [KEY, IDENTITY], ids=["key", "identity"])
@pytest.mark.parametrize("said", OPEN.values(), ids=OPEN.keys())
def test_what_keeps_cosign_from_verifying_says_nothing_of_the_file(
    cosign: Cosign, tmp_path: Path, trust: Trust, said: str
) -> None:
    (tmp_path / "said").write_text(f"Error: {said}\nerror during command execution: {said}\n")
    with pytest.raises(RegistryError) as failed:
        cosign.verify_file(tmp_path / "file", signature(), trust)
    assert f"cosign verify-blob file failed ({said}" in str(failed.value)
    assert "replaced" not in str(failed.value)


NONE = {
    "empty": b"",
    "no JSON": b"x",
    "no document": b"[]",
    "a number": b"1",
    "deep": b"[" * 100_000,
    "no text": b"\xff\xfe",
    "no signature": b"{}",
    "an empty signature": signature(base64Signature=""),
    "a number for a signature": signature(base64Signature=5),
    "another alphabet": signature(base64Signature="!!!!"),
    "other letters": signature(base64Signature="é"),
    "a public key for a certificate": signature(cert=text("PUBLIC KEY")),
    "a public key as it is": signature(cert=PEM.format("PUBLIC KEY")),
    "a public key before a certificate": signature(
        cert=base64.b64encode(
            (PEM.format("PUBLIC KEY") + PEM.format("CERTIFICATE")).encode()
        ).decode()
    ),
    "a public key after a certificate": signature(
        cert=base64.b64encode(
            (PEM.format("CERTIFICATE") + PEM.format("PUBLIC KEY")).encode()
        ).decode()
    ),
    "a number for a certificate": signature(cert=5),
    "a log that is none": signature(rekorBundle="x"),
    "a log that says nothing": signature(rekorBundle={}),
    "a log without an entry": signature(rekorBundle={**ENTRY, "Payload": None}),
    "a log with a large number": signature(
        rekorBundle={**ENTRY, "Payload": {**ENTRY["Payload"], "logIndex": 1 << 64}}  # type: ignore[dict-item]
    ),
    "a log whose number is none": signature(
        rekorBundle={**ENTRY, "Payload": {**ENTRY["Payload"], "logIndex": True}}  # type: ignore[dict-item]
    ),
}


@pytest.mark.parametrize("content", NONE.values(), ids=NONE.keys())
def test_what_is_no_signature_reaches_cosign_never(
    cosign: Cosign, tmp_path: Path, content: bytes
) -> None:
    for trust in (KEY, IDENTITY):
        assert not cosign.verify_file(tmp_path / "file", content, trust)
    assert not (tmp_path / "arguments").exists()


def test_a_key_is_told_the_signature_alone(cosign: Cosign, tmp_path: Path) -> None:
    assert cosign.verify_file(tmp_path / "file", signature(), KEY)
    arguments = (tmp_path / "arguments").read_text()
    assert "--key=cosign.pub" in arguments
    assert "--signature=" in arguments
    assert "bundle" not in arguments


def test_an_identity_needs_a_certificate_and_a_log_entry(cosign: Cosign, tmp_path: Path) -> None:
    for missing in ("cert", "rekorBundle"):
        assert not cosign.verify_file(tmp_path / "file", signature(**{missing: None}), IDENTITY)
    assert not (tmp_path / "arguments").exists()
    assert cosign.verify_file(tmp_path / "file", signature(), IDENTITY)
    # cosign holds the two certificates against each other.
    assert "--certificate=" in (tmp_path / "arguments").read_text()


def test_an_identity_is_told_what_a_signature_may_say(cosign: Cosign, tmp_path: Path) -> None:
    """Names in another case count for cosign, and the last of two."""
    more = {"Cert": text("PUBLIC KEY"), "CERT": "x", "mediaType": "other", "tlogEntries": []}
    log = {**ENTRY, "signedentrytimestamp": "BBBB"}
    assert cosign.verify_file(tmp_path / "file", signature(rekorBundle=log, **more), IDENTITY)
    assert json.loads((tmp_path / "bundle").read_text()) == GOOD


def test_the_certificate_of_a_file_is_read_as_one() -> None:
    read = FileSignature.read(signature(cert=None, rekorBundle=None))
    assert read == FileSignature("AAAA", None, None)


@pytest.mark.parametrize(
    "inner",
    [
        "[" * 100_000,
        "[" * 200 + "]" * 200,
        "5",
        "[]",
        '{"subject":[5]}',
        '{"subject":[{"digest":"x"}]}',
    ],
)
def test_a_signed_statement_that_cannot_be_read_is_none(
    cosign: Cosign, tmp_path: Path, inner: str
) -> None:
    payload = base64.b64encode(inner.encode()).decode()
    for line in (json.dumps({"payload": payload}), '{"a":' + "[" * 100_000):
        (tmp_path / "output").write_text(line + "\n")
        with pytest.raises(VerificationFailed, match="cannot be read"):
            cosign.statements(IMAGE, "kind", KEY)


@pytest.mark.parametrize(
    "said",
    [
        "unmarshal payload data: invalid character 'g' looking for beginning of value",
        "could not find 'payload' in payload data",
        "could not decode 'payload': illegal base64 data at input byte 0",
    ],
)
def test_an_attachment_that_is_in_the_way_is_named(
    cosign: Cosign, tmp_path: Path, said: str
) -> None:
    (tmp_path / "said").write_text(f"error during command execution: signing {IMAGE}: {said}\n")
    with pytest.raises(RegistryError) as failed:
        cosign.attest(IMAGE, "kind", {}, Signer("key"))
    assert str(failed.value).startswith("registry:5000/name:sha256-" + "a" * 64 + ".att holds no")
    assert "delete that tag" in str(failed.value)
    (tmp_path / "said").write_text("error during command execution: no such host\n")
    with pytest.raises(RegistryError, match=r"cosign attest .* failed \(no such host\)"):
        cosign.attest(IMAGE, "kind", {}, Signer("key"))


def test_a_signature_is_kept_without_the_key_that_cosign_3_puts_into_it(tmp_path: Path) -> None:
    program = tmp_path / "cosign"
    bundle = json.dumps({"base64Signature": "AAAA", "cert": text("PUBLIC KEY")})
    program.write_text(
        f"#!/bin/sh\n{COSIGN_VERSION}\n"
        f"for word; do case $word in --bundle=*) echo '{bundle}' > ${{word#*=}};; esac; done\n"
    )
    program.chmod(0o755)
    cosign = Cosign(None, {"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    kept = cosign.sign_file(tmp_path / "file", Signer("cosign.key"))
    assert json.loads(kept) == {"base64Signature": "AAAA"}
    # An identity's certificate belongs to its signature.
    assert json.loads(cosign.sign_file(tmp_path / "file", Signer(None))) == json.loads(bundle)
