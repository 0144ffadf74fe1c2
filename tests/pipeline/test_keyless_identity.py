"""Which identities cosign takes for ours, in certificates as Fulcio writes them.

A CA of the tests stands in for Fulcio, so cosign is told its chain; nothing stands in for the
transparency logs, so cosign is told to do without them. Whose signature counts is cosign's own
judgement, of the arguments that the program gives it and of the pattern in the workflow.
Source of the extensions: https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
"""

from __future__ import annotations

import base64
import datetime
import json
import os
import re
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from rocm_images.errors import RegistryError
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.trust import Trust, trust_of

PROJECT = Path(__file__).resolve().parents[2]
WORKFLOW = yaml.safe_load((PROJECT / ".github/workflows/images.yml").read_text())
OURS = "some-owner/serving.images"
ISSUER = "https://token.actions.githubusercontent.com"
OF = f"https://github.com/{OURS}/.github/workflows"
GOOD = f"{OF}/images.yml@refs/heads/main"
FULCIO = "1.3.6.1.4.1.57264.1"


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
class Authority:
    """Stands in for Fulcio: a CA whose leaf certificates hold what Fulcio's hold."""

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
    return x509.UnrecognizedExtension(ObjectIdentifier(f"{FULCIO}.{number}"), value)


def _der(text: str) -> bytes:
    """A UTF8String in DER, of up to 255 bytes."""
    content = text.encode()
    length = bytes([len(content)]) if len(content) < 128 else bytes([0x81, len(content)])
    return b"\x0c" + length + content


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("fulcio"))


@pytest.fixture(scope="module", params=["today's", "the next"])
def cosign(request: pytest.FixtureRequest, cosigns: dict[str, Path]) -> str:
    return str(cosigns[request.param])


def trusted() -> Trust:
    """What `publish` in the workflow of the repository OURS trusts."""
    publish = WORKFLOW["jobs"]["publish"]
    variables = {**WORKFLOW["env"], **publish.get("env", {})}
    (command,) = (step["run"] for step in publish["steps"] if step.get("name") == "Publish")
    words = shlex.split(command)
    given = [words[words.index(option) + 1] for option in ("--identity", "--issuer")]
    identity, issuer = (
        variables[word[1:]].replace("${{ github.repository }}", OURS) if word[0] == "$" else word
        for word in given
    )
    assert "${{" not in identity + issuer
    return trust_of(None, identity, issuer)


def verified(
    cosign: str, authority: Authority, signed: Signed, arguments: Sequence[str]
) -> tuple[bool, str]:
    """Whether the real cosign takes the signature, and what it says."""
    done = subprocess.run(
        [
            *(cosign, "verify-blob", *arguments, *authority.sign(signed)),
            # For Fulcio's root, its log of certificates, and Rekor.
            f"--certificate-chain={authority.chain}",
            *("--insecure-ignore-sct=true", "--insecure-ignore-tlog=true"),
            str(authority.blob),
        ],
        env={**os.environ, "HOME": str(authority.folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", ["cell.yml", "images.yml"])
@pytest.mark.parametrize("ref", ["refs/heads/main", "refs/tags/v1", "refs/tags/v0.5.21-rc.1"])
def test_our_workflows_on_main_and_on_version_tags_count(
    cosign: str, authority: Authority, file: str, ref: str
) -> None:
    done = verified(cosign, authority, Signed(f"{OF}/{file}@{ref}"), trusted().arguments)
    assert done[0], done[1]


NEIGHBOURS = {
    "a fork": GOOD.replace("some-owner", "evil"),
    "an owner whose name holds ours": GOOD.replace("some-owner", "awesome-owner"),
    "an owner whose name begins with ours": GOOD.replace("some-owner", "some-owner-evil"),
    "a repository whose name begins with ours": GOOD.replace(".images/", ".images-evil/"),
    "a dot of the repository's name replaced": GOOD.replace("serving.", "servingx"),
    "a dot of the address replaced": GOOD.replace("github.com", "githubxcom"),
    "a dot of the folder replaced": GOOD.replace("/.github", "/xgithub"),
    "a dot of the file replaced": GOOD.replace("images.yml@", "imagesxyml@"),
    "another workflow": GOOD.replace("images.yml", "ci.yml"),
    "a workflow whose name ends with ours": GOOD.replace("images.yml", "evil-images.yml"),
    "another branch": GOOD.replace("heads/main", "heads/evil"),
    "a branch whose name begins with main": f"{GOOD}-evil",
    "a branch below main": f"{GOOD}/evil",
    "a branch that ends as main": GOOD.replace("heads/main", "heads/evil/refs/heads/main"),
    "a pull request": GOOD.replace("heads/main", "pull/1/merge"),
    "a branch named as a tag": GOOD.replace("heads/main", "heads/tags/v1"),
    "a tag that is no version": GOOD.replace("heads/main", "tags/evil"),
    "a tag with a slash": GOOD.replace("heads/main", "tags/v1/evil"),
    "a tag without a name": GOOD.replace("heads/main", "tags/v"),
    "no ref": GOOD.partition("@")[0],
    "something before": f"https://evil.example/?{GOOD}",
    "something after": f"{GOOD}?evil",
    "a fragment": f"{GOOD}#evil",
    "a host that ends with github.com": GOOD.replace("github.com", "evilgithub.com", 1),
    "a host that begins with github.com": GOOD.replace("github.com", "github.com.evil.org", 1),
    "our host as a user": GOOD.replace("github.com", "github.com@evil.org", 1),
    "no TLS": GOOD.replace("https:", "http:"),
    "upper case": GOOD.replace("some-owner", "Some-Owner"),
    "a line before": f"https://evil.example/\n{GOOD}",
    "a line after": f"{GOOD}\nevil",
    "a line in a tag": GOOD.replace("heads/main", "tags/v1\nevil"),
    "a zero byte": f"{GOOD}\0evil",
    "an address in percent": GOOD.replace("some-owner", "some%2Downer"),
}


@pytest.mark.parametrize("identity", NEIGHBOURS.values(), ids=NEIGHBOURS.keys())
def test_no_identity_beside_ours_counts(cosign: str, authority: Authority, identity: str) -> None:
    accepted, said = verified(cosign, authority, Signed(identity), trusted().arguments)
    assert not accepted
    # It is the identity that was refused, or a certificate that nobody can read.
    assert re.search(r"none of the expected identities matched|invalid control|parse", said), said


@pytest.mark.parametrize(
    "issuer",
    [
        "https://gitlab.com",
        f"{ISSUER}/",
        f"{ISSUER}/evil",
        f"{ISSUER}.evil.org",
        f"https://evil.org/?{ISSUER}",
        ISSUER.replace("https", "http"),
        ISSUER.upper(),
        "",
    ],
)
def test_no_other_issuer_counts(cosign: str, authority: Authority, issuer: str) -> None:
    accepted, said = verified(cosign, authority, Signed(issuer=issuer), trusted().arguments)
    assert not accepted
    assert "none of the expected identities matched" in said


@pytest.mark.parametrize("repository", ["evil/calls-ours", "some-owner/other", f"{OURS}-evil", ""])
@pytest.mark.parametrize("file", ["cell.yml", "images.yml"])
def test_our_workflow_called_from_another_repository_does_not_count(
    cosign: str, authority: Authority, file: str, repository: str
) -> None:
    called = Signed(f"{OF}/{file}@refs/heads/main", repository)
    accepted, said = verified(cosign, authority, called, trusted().arguments)
    assert not accepted
    assert "GitHub Workflow Repository not found in certificate" in said or repository in said
    # Which nothing but the repository tells: the identity is ours.
    by_identity = replace(trusted(), repository=None)
    assert verified(cosign, authority, called, by_identity.arguments)[0]


def called_by(caller: str, ref: str, program_ref: str) -> list[str]:
    """What a run of build.yml trusts that this repository called."""
    text = yaml.safe_load((PROJECT / ".github/workflows/build.yml").read_text())["env"]["IDENTITY"]
    for name, value in (
        ("inputs.program", OURS),
        ("inputs.program-ref", program_ref),
        ("github.repository", caller),
        ("github.ref", ref),
    ):
        text = text.replace(f"${{{{ {name} }}}}", value)
    return trust_of(None, text, ISSUER).arguments


@pytest.mark.parametrize("ref", ["refs/heads/main", "refs/tags/v1.0+2"])
def test_a_workflow_of_ours_counts_where_the_one_repository_calls_it_that_is_trusted(
    cosign: str, authority: Authority, ref: str
) -> None:
    commit, caller = "ab" * 20, "an-owner/their.images"
    file = f"https://github.com/{OURS}/.github/workflows/build.yml@"
    arguments = called_by(caller, ref, commit)
    good = verified(cosign, authority, Signed(f"{file}{commit}", caller, ref=ref), arguments)
    assert good[0], good[1]
    for identity, repository, at in (
        (f"{file}{commit}", "an-owner/other", ref),
        (f"{file}{commit}", OURS, ref),
        (f"{file}{'cd' * 20}", caller, ref),
        (GOOD, caller, ref),
        # Whoever may push to any branch of the caller's can call the same file, with any program.
        (f"{file}{commit}", caller, "refs/heads/attackers-branch"),
        (f"{file}{commit}", caller, f"{ref}-evil"),
        (f"{file}{commit}", caller, f"{ref}/evil"),
        (f"{file}{commit}", caller, "refs/pull/1/merge"),
        (f"{file}{commit}", caller, ""),
    ):
        signed = Signed(identity, repository, ref=at)
        assert not verified(cosign, authority, signed, arguments)[0], signed


def test_a_tag_that_a_call_names_is_no_pattern(cosign: str, authority: Authority) -> None:
    caller = "an-owner/their.images"
    file = f"https://github.com/{OURS}/.github/workflows/build.yml@refs/tags/"
    arguments = called_by(caller, "refs/heads/main", "v1.0+2")
    good = verified(cosign, authority, Signed(f"{file}v1.0+2", caller), arguments)
    assert good[0], good[1]
    for tag in ("v1x0+2", "v1.02", "v1.002", "v1.0+22"):
        assert not verified(cosign, authority, Signed(f"{file}{tag}", caller), arguments)[0], tag


def test_a_pattern_without_anchors_is_given_to_cosign_with_them(
    cosign: str, authority: Authority
) -> None:
    loose = rf"https://github\.com/{OURS}/.github/workflows/(cell|images)\.yml@refs/heads/main"
    trust = trust_of(None, loose, ISSUER)
    assert verified(cosign, authority, Signed(), trust.arguments)[0]
    # Alternatives too: the anchors are around all of them.
    either = trust_of(None, rf"{loose}|evil", ISSUER)
    for identity in (f"https://evil.example/?{GOOD}", f"{GOOD}-evil", "urn:evil:x"):
        for one in (trust, either):
            assert not verified(cosign, authority, Signed(identity), one.arguments)[0]
        # cosign itself is content with a match anywhere.
        own = [f"--certificate-identity-regexp={loose}|evil", f"--certificate-oidc-issuer={ISSUER}"]
        assert verified(cosign, authority, Signed(identity), own)[0]


def test_a_certificate_of_another_authority_does_not_count(
    cosign: str, authority: Authority, tmp_path: Path
) -> None:
    other = Authority(tmp_path)
    other.chain.write_bytes(authority.chain.read_bytes())
    accepted, said = verified(cosign, other, Signed(), trusted().arguments)
    assert not accepted
    assert "certificate signed by unknown authority" in said


@dataclass(frozen=True)
class Offline(Trust):
    """The same trust, where the CA of the tests stands in for Fulcio."""

    chain: Path | None = None

    @property
    def arguments(self) -> list[str]:
        ignored = ["--insecure-ignore-sct=true", "--insecure-ignore-tlog=true"]
        return [*super().arguments, f"--certificate-chain={self.chain}", *ignored]


def test_a_files_signature_counts_by_its_certificate_and_by_no_key_in_its_place(
    cosign: str, authority: Authority
) -> None:
    who = {one.name: getattr(trusted(), one.name) for one in fields(Trust)}
    trust = Offline(**who, chain=authority.chain)
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "TUF_ROOT": str(authority.folder / "tuf")}
    environment = {"PATH": str(Path(cosign).parent), "HOME": str(authority.folder), **nowhere}
    entry = {"body": "AAAA", "integratedTime": 1, "logIndex": 1, "logID": "c0"}

    def verified_with(certificate: bytes, signature: str, trust: Trust = trust) -> bool:
        document = {
            "base64Signature": signature,
            "cert": base64.b64encode(certificate).decode(),
            "rekorBundle": {"SignedEntryTimestamp": "AAAA", "Payload": entry},
        }
        content = json.dumps(document).encode()
        return Cosign(None, environment).verify_file(authority.blob, content, trust)

    def made_by(signed: Signed) -> bool:
        authority.sign(signed)
        leaf = (authority.folder / "leaf.pem").read_bytes()
        return verified_with(leaf, (authority.folder / "signature").read_text())

    assert made_by(Signed())
    assert not made_by(Signed(NEIGHBOURS["a fork"]))
    assert not made_by(Signed(repository="evil/calls-ours"))
    assert not made_by(Signed(issuer="https://gitlab.com"))
    # GHSA-fx35-mq7g-6g98: cosign verifies with a key in the place of the certificate.
    key = ec.generate_private_key(P256)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    own = base64.b64encode(key.sign(authority.blob.read_bytes(), ec.ECDSA(hashes.SHA256())))
    assert not verified_with(public, own.decode())
    disguised = public.replace(b"PUBLIC KEY", b"CERTIFICATE")
    assert not verified_with(disguised, own.decode())
    # Without Fulcio's and Rekor's keys nobody knows whose it is.
    authority.sign(Signed())
    leaf, signature = (authority.folder / name for name in ("leaf.pem", "signature"))
    with pytest.raises(RegistryError, match=r"getting [Rr]ekor public keys"):
        verified_with(leaf.read_bytes(), signature.read_text(), trusted())
