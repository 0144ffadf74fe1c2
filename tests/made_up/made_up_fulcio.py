"""Stands in for Fulcio: who signed, in certificates as it writes them, by a CA of the tests.

Source of the extensions: https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
"""

from __future__ import annotations

import base64
import datetime
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from rocm_images.registry.trust import Trust, trust_of
from workflow_files import WORKFLOWS

OURS = "some-owner/serving.images"
ISSUER = "https://token.actions.githubusercontent.com"
OF = f"https://github.com/{OURS}/.github/workflows"
GOOD = f"{OF}/images.yml@refs/heads/main"
EXTENSIONS = "1.3.6.1.4.1.57264.1"


@dataclass(frozen=True)
class Signed:
    """Who signed, as a certificate of Fulcio says it."""

    identity: str = GOOD
    """job_workflow_ref: the file of the workflow, which another repository may call."""
    repository: str = OURS
    """The repository in which the workflow ran."""
    issuer: str = ISSUER
    ref: str = "refs/heads/main"
    """Of that repository: the branch or tag at which the workflow ran, or was called."""


@dataclass(frozen=True)
class Fulcio:
    """A CA whose leaf certificates hold what Fulcio's hold."""

    folder: Path
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(P256))

    def __post_init__(self) -> None:
        made = self._begun(_name("a CA of tests"), self.key.public_key())
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        usage = _usage(key_cert_sign=True)
        certificate = made.add_extension(usage, critical=True).sign(self.key, hashes.SHA256())
        self.chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self.blob.write_text("what is signed")

    @property
    def chain(self) -> Path:
        return self.folder / "chain.pem"

    @property
    def blob(self) -> Path:
        return self.folder / "blob"

    def sign(self, signed: Signed) -> list[str]:
        """Sign the blob; returns what cosign is to be told of the signature."""
        key = ec.generate_private_key(P256)
        leaf, signature = self.folder / "leaf.pem", self.folder / "signature"
        made = self._begun(x509.Name([]), key.public_key())
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (_usage(digital_signature=True), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False),
            (x509.SubjectAlternativeName([x509.UniformResourceIdentifier(signed.identity)]), True),
            (_extension("1", signed.issuer.encode()), False),
            (_extension("8", _der(signed.issuer)), False),
            (_extension("5", signed.repository.encode()), False),
            (_extension("6", signed.ref.encode()), False),
            (_extension("9", _der(signed.identity)), False),
            (_extension("12", _der(f"https://github.com/{signed.repository}")), False),
            (_extension("14", _der(signed.ref)), False),
        ]
        for extension, critical in extensions:
            made = made.add_extension(extension, critical=critical)
        certificate = made.sign(self.key, hashes.SHA256())
        leaf.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        made_of_it = key.sign(self.blob.read_bytes(), ec.ECDSA(hashes.SHA256()))
        signature.write_bytes(base64.b64encode(made_of_it))
        return [f"--certificate={leaf}", f"--signature={signature}"]

    def _begun(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now, hour = datetime.datetime.now(datetime.timezone.utc), datetime.timedelta(hours=1)
        made = x509.CertificateBuilder().subject_name(subject).public_key(key)
        made = made.issuer_name(_name("a CA of tests")).serial_number(x509.random_serial_number())
        return made.not_valid_before(now - hour).not_valid_after(now + hour)


P256 = ec.SECP256R1()
_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


def _usage(**given: bool) -> x509.KeyUsage:
    return x509.KeyUsage(**{**dict.fromkeys(_USAGES, False), **given})


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _extension(number: str, value: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(ObjectIdentifier(f"{EXTENSIONS}.{number}"), value)


def _der(text: str) -> bytes:
    """A UTF8String in DER, of up to 255 bytes."""
    content = text.encode()
    length = bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)])
    return b"\x0c" + length + content


def trusted() -> Trust:
    """What `publish` in the workflow of the repository OURS trusts."""
    workflow = WORKFLOWS["images.yml"]
    publish = workflow["jobs"]["publish"]
    variables = {**workflow["env"], **publish.get("env", {})}
    (command,) = (step["run"] for step in publish["steps"] if step.get("name") == "Publish")
    words = shlex.split(command)
    given = [words[words.index(option) + 1] for option in ("--identity", "--issuer")]
    identity, issuer = (
        variables[word[1:]].replace("${{ github.repository }}", OURS) if word[0] == "$" else word
        for word in given
    )
    assert "${{" not in identity + issuer
    return trust_of(None, identity, issuer)
