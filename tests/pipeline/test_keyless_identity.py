"""Which identities cosign takes for ours, in certificates as Fulcio writes them.

A CA of the tests stands in for Fulcio, so cosign is told its chain; nothing stands in for the
transparency logs, so cosign is told to do without them. Whose signature counts is cosign's own
judgement, of the arguments that the program gives it and of the pattern in the workflow.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from made_up_fulcio import GOOD, ISSUER, OF, OURS, Fulcio, Signed, trusted
from rocm_images.registry.trust import trust_of
from workflow_files import WORKFLOWS


def verified(
    each_cosign: Path, fulcio: Fulcio, signed: Signed, arguments: Sequence[str]
) -> tuple[bool, str]:
    """Whether the real cosign takes the signature, and what it says."""
    done = subprocess.run(
        [
            *(each_cosign, "verify-blob", *arguments, *fulcio.sign(signed)),
            # For Fulcio's root, its log of certificates, and Rekor.
            f"--certificate-chain={fulcio.chain}",
            *("--insecure-ignore-sct=true", "--insecure-ignore-tlog=true"),
            str(fulcio.blob),
        ],
        env={**os.environ, "HOME": str(fulcio.folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode == 0, done.stderr


@pytest.mark.parametrize("file", ["cell.yml", "images.yml"])
@pytest.mark.parametrize("ref", ["refs/heads/main", "refs/tags/v1", "refs/tags/v0.5.21-rc.1"])
def test_our_workflows_on_main_and_on_version_tags_count(
    each_cosign: Path, fulcio: Fulcio, file: str, ref: str
) -> None:
    done = verified(each_cosign, fulcio, Signed(f"{OF}/{file}@{ref}"), trusted().arguments)
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
def test_no_identity_beside_ours_counts(each_cosign: Path, fulcio: Fulcio, identity: str) -> None:
    accepted, said = verified(each_cosign, fulcio, Signed(identity), trusted().arguments)
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
def test_no_other_issuer_counts(each_cosign: Path, fulcio: Fulcio, issuer: str) -> None:
    accepted, said = verified(each_cosign, fulcio, Signed(issuer=issuer), trusted().arguments)
    assert not accepted
    assert "none of the expected identities matched" in said


@pytest.mark.parametrize("repository", ["evil/calls-ours", "some-owner/other", f"{OURS}-evil", ""])
@pytest.mark.parametrize("file", ["cell.yml", "images.yml"])
def test_our_workflow_called_from_another_repository_does_not_count(
    each_cosign: Path, fulcio: Fulcio, file: str, repository: str
) -> None:
    called = Signed(f"{OF}/{file}@refs/heads/main", repository)
    accepted, said = verified(each_cosign, fulcio, called, trusted().arguments)
    assert not accepted
    assert "GitHub Workflow Repository not found in certificate" in said or repository in said
    # Which nothing but the repository tells: the identity is ours.
    by_identity = replace(trusted(), repository=None)
    assert verified(each_cosign, fulcio, called, by_identity.arguments)[0]


def called_by(caller: str, ref: str, program_ref: str) -> list[str]:
    """What a run of build.yml trusts that this repository called."""
    text = WORKFLOWS["build.yml"]["env"]["IDENTITY"]
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
    each_cosign: Path, fulcio: Fulcio, ref: str
) -> None:
    commit, caller = "ab" * 20, "an-owner/their.images"
    file = f"https://github.com/{OURS}/.github/workflows/build.yml@"
    arguments = called_by(caller, ref, commit)
    good = verified(each_cosign, fulcio, Signed(f"{file}{commit}", caller, ref=ref), arguments)
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
        assert not verified(each_cosign, fulcio, signed, arguments)[0], signed


def test_a_tag_that_a_call_names_is_no_pattern(each_cosign: Path, fulcio: Fulcio) -> None:
    caller = "an-owner/their.images"
    file = f"https://github.com/{OURS}/.github/workflows/build.yml@refs/tags/"
    arguments = called_by(caller, "refs/heads/main", "v1.0+2")
    good = verified(each_cosign, fulcio, Signed(f"{file}v1.0+2", caller), arguments)
    assert good[0], good[1]
    for tag in ("v1x0+2", "v1.02", "v1.002", "v1.0+22"):
        assert not verified(each_cosign, fulcio, Signed(f"{file}{tag}", caller), arguments)[0], tag


def test_a_pattern_without_anchors_is_given_to_cosign_with_them(
    each_cosign: Path, fulcio: Fulcio
) -> None:
    loose = rf"https://github\.com/{OURS}/.github/workflows/(cell|images)\.yml@refs/heads/main"
    trust = trust_of(None, loose, ISSUER)
    assert verified(each_cosign, fulcio, Signed(), trust.arguments)[0]
    # Alternatives too: the anchors are around all of them.
    either = trust_of(None, rf"{loose}|evil", ISSUER)
    for identity in (f"https://evil.example/?{GOOD}", f"{GOOD}-evil", "urn:evil:x"):
        for one in (trust, either):
            assert not verified(each_cosign, fulcio, Signed(identity), one.arguments)[0]
        # cosign itself is content with a match anywhere.
        own = [f"--certificate-identity-regexp={loose}|evil", f"--certificate-oidc-issuer={ISSUER}"]
        assert verified(each_cosign, fulcio, Signed(identity), own)[0]


def test_a_certificate_of_another_authority_does_not_count(
    each_cosign: Path, fulcio: Fulcio, tmp_path: Path
) -> None:
    other = Fulcio(tmp_path)
    other.chain.write_bytes(fulcio.chain.read_bytes())
    accepted, said = verified(each_cosign, other, Signed(), trusted().arguments)
    assert not accepted
    assert "certificate signed by unknown authority" in said
