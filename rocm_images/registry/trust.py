"""Who signs, and whose signatures count: a key's holder, or the identity of a CI's workflow."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from rocm_images.errors import InputError

_KEY_BYTES = 1 << 16
_NO_TRANSPARENCY_LOG = "--tlog-upload=false"
_IGNORE_TRANSPARENCY_LOG = "--insecure-ignore-tlog=true"
# github.com's, also with an enterprise after it, and that of a GitHub Enterprise Server.
_GITHUBS_ISSUER = re.compile(
    r"https://token\.actions\.githubusercontent\.com(/.*)?|https://[^/]+/_services/token"
)
_DOT = r"(?:\\\.|\[\.\]|\.)"
_NAME = rf"(?:[\w-]|{_DOT})+"
_CALLED_FROM = " called from "
_CALLED = re.compile(
    rf"(\S+){_CALLED_FROM}({_NAME}/{_NAME})@(refs/(?:heads|tags)/[^\s/]\S*)", re.ASCII
)
_WORKFLOW = re.compile(rf"\^?https://{_NAME}/({_NAME}/{_NAME})/", re.ASCII)
# A plus after a letter or digit is one of the name, as in v1.0+rocm7: that of `.+` or `\d+` is not.
_REF = re.compile(
    r"(?<=@)((?:\(refs/tags/\)\?)?)"
    rf"((?:(?:[\w/-]|{_DOT})(?:\\\+|\[\+\]|(?<=\w)\+)?)+)(?=\$?\Z)",
    re.ASCII,
)
_ESCAPES = re.compile(r"[\\\[\]]")


@dataclass(frozen=True)
class Signer:
    """Who signs: the holder of a key (a file, or a KMS address), or, without one, an identity."""

    key: str | None

    @property
    def arguments(self) -> list[str]:
        """What cosign is to sign with."""
        return [f"--key={self.key}", _NO_TRANSPARENCY_LOG] if self.key else []


@dataclass(frozen=True)
class Trust:
    """Whose signatures count: a public key's, or an identity's that an OIDC issuer vouches for."""

    key: str | None = None
    identity: str | None = None
    """A regular expression for the whole of it."""
    issuer: str | None = None
    repository: str | None = None
    """OWNER/NAME on GitHub: the one in which the workflow ran, whosever the workflow is."""
    ref: str | None = None
    """Of that repository, where it is another's workflow that it called: at which branch or tag."""

    @property
    def arguments(self) -> list[str]:
        """What cosign is to verify against."""
        if self.key:
            return [f"--key={self.key}", _IGNORE_TRANSPARENCY_LOG]
        words = [
            # cosign is content with a match anywhere in the identity.
            f"--certificate-identity-regexp=^(?:{self.identity})$",
            f"--certificate-oidc-issuer={self.issuer}",
        ]
        if self.repository:
            words.append(f"--certificate-github-workflow-repository={self.repository}")
        if self.ref:
            words.append(f"--certificate-github-workflow-ref={self.ref}")
        return words

    @property
    def words(self) -> str:
        """Whose signature is asked for."""
        if self.key:
            return f"the key {self.key}"
        where = f"{_CALLED_FROM}{self.repository}@{self.ref}" if self.ref else ""
        return f"{self.identity}{where} (by {self.issuer})"


def trust_of(key: str | None, identity: str | None, issuer: str | None) -> Trust:
    """Whom the user trusts.

    Raises:
        InputError: neither a key nor both an identity and its issuer were named, the identity is no
            regular expression, or one of GitHub without its repository or without the ref of a
            caller, or the key's file cannot be read.
    """
    if key and (identity or issuer):
        raise InputError("trust either a key or an identity: leave out --key, or the other two")
    if identity and issuer:
        return _identity_trust(identity, issuer)
    if not key:
        raise InputError(
            "say whose signatures to trust: --key with the publisher's public key, or --identity "
            "and --issuer of the CI that signs"
        )
    if "://" not in key and is_private(key):
        raise InputError(f"--key: {key} is a private key: name the public one, cosign.pub")
    return Trust(key, identity, issuer)


def is_private(key: str, option: str = "--key") -> bool:
    """Whether a key can sign: a private one's file, or what a KMS keeps.

    Raises:
        InputError: its file, which `option` named, cannot be read.
    """
    return "://" in key or b"PRIVATE KEY-----" in key_text(key, option)


def key_text(key: str, option: str = "--key") -> bytes:
    """What a key's file holds.

    Raises:
        InputError: the file, which `option` named, cannot be read.
    """
    try:
        with Path(key).open("rb") as file:
            return file.read(_KEY_BYTES)
    except OSError as error:
        raise InputError(f"{option}: cannot read {key} ({error.strerror})") from None


def _identity_trust(identity: str, issuer: str) -> Trust:
    """Trust in an identity; in one of GitHub, together with the repository that it names.

    GitHub's identity is the file of the workflow, and a workflow with `workflow_call` can be called
    from anybody's repository, whose code it then runs: the identity alone proves nothing. Source:
    https://docs.github.com/en/actions/concepts/security/openid-connect#using-openid-connect-with-reusable-workflows
    A workflow of another repository's is trusted as `REGEX called from OWNER/NAME@REF`: the ref in
    its identity is the called file's, and any branch of the caller's could call it.
    """
    called = None
    if _GITHUBS_ISSUER.fullmatch(issuer) and _CALLED_FROM in f"{identity} ":
        called = _CALLED.fullmatch(identity)
        if called is None:
            raise InputError(
                f"--identity {identity!r}: write whose call counts as 'REGEX called from "
                "OWNER/NAME@refs/heads/BRANCH' or '...@refs/tags/TAG': one repository, at one ref, "
                "as else any branch of it could sign"
            )
        identity = called[1]
    try:
        re.compile(identity)
    except re.error as error:
        raise InputError(f"--identity {identity!r} is no regular expression: {error}") from None
    if not _GITHUBS_ISSUER.fullmatch(issuer):
        return Trust(None, identity, issuer)
    found = _WORKFLOW.match(identity)
    if found is None:
        raise InputError(
            f"--identity {identity!r} does not begin with a repository of GitHub, as "
            r"https://github\.com/OWNER/NAME/: a workflow can be called from anybody's repository, "
            "so write out the one in which it has to run"
        )
    # What stands for itself does so, too, where it was not escaped.
    repository = _ESCAPES.sub("", found[1])
    rest = _REF.sub(lambda ref: f"{ref[1]}{_literal(ref[2])}", identity[found.end(1) :])
    exact = f"{identity[: found.start(1)]}{_literal(repository)}{rest}"
    if called:
        return Trust(None, exact, issuer, _ESCAPES.sub("", called[2]), called[3])
    return Trust(None, exact, issuer, repository)


def _literal(name: str) -> str:
    """The pattern that only this name matches, whether it was escaped or not."""
    return re.sub(r"[.+]", r"\\\g<0>", _ESCAPES.sub("", name))
