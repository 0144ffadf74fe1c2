"""Whose signatures count is said so that nobody else can have them."""

from __future__ import annotations

import re

import pytest

from rocm_images.errors import InputError
from rocm_images.registry.trust import trust_of

GITHUB = "https://token.actions.githubusercontent.com"


@pytest.mark.parametrize(
    "issuer", [GITHUB, f"{GITHUB}/an-enterprise", "https://ghe/_services/token"]
)
@pytest.mark.parametrize("dot", [".", r"\.", "[.]"])
@pytest.mark.parametrize("start", ["", "^"])
def test_trust_in_a_workflow_of_github_is_trust_in_one_repository(
    issuer: str, dot: str, start: str
) -> None:
    pattern = (
        f"{start}https://github{dot}com/own-er/a{dot}name_1/{dot}github/workflows/x{dot}yml@.*"
    )
    found = trust_of(None, pattern, issuer)
    assert found.repository == "own-er/a.name_1"
    assert found.arguments[-1] == "--certificate-github-workflow-repository=own-er/a.name_1"
    # Whatever was written, the repository is no pattern.
    assert r"com/own-er/a\.name_1/" in found.arguments[0]


@pytest.mark.parametrize(
    "pattern",
    [
        ".*",
        r"https://github\.com/owner/.*",
        r"https://github\.com/owner/.*/\.github/workflows/x\.yml@refs/heads/main",
        r"https://github\.com/owner/(a|b)/\.github/workflows/x\.yml@refs/heads/main",
        r"https://github\.com/[a-z]+/name/\.github/",
        r"https://github\.com/owner/name",
        r"(?i)https://github\.com/owner/name/\.github/",
        r"(https://github\.com/owner/name/\.github/.*)|.*",
        r".*https://github\.com/owner/name/",
    ],
)
def test_a_pattern_for_github_that_names_no_repository_is_refused(pattern: str) -> None:
    with pytest.raises(InputError, match="write out the one in which it has to run"):
        trust_of(None, pattern, GITHUB)
    # Another issuer's identities have other shapes.
    assert trust_of(None, pattern, "https://gitlab.example").repository is None


@pytest.mark.parametrize("pattern", ["(", "a)|(b", "[", "*", "a\\"])
def test_an_identity_that_is_no_pattern_is_refused(pattern: str) -> None:
    for issuer in (GITHUB, "https://issuer"):
        with pytest.raises(InputError, match="is no regular expression"):
            trust_of(None, pattern, issuer)


@pytest.mark.parametrize("start", ["", "^"])
def test_a_workflow_that_another_repository_calls_is_trusted_with_that_one(start: str) -> None:
    pattern = rf"{start}https://github.com/owner/a.name/\.github/workflows/x\.yml@v1"
    caller = "a-caller/their.images@refs/heads/main"
    found = trust_of(None, f"{pattern} called from {caller}", GITHUB)
    # Anybody who may push to any branch of it could call the workflow: the ref is the caller's.
    assert found.arguments[-2:] == [
        "--certificate-github-workflow-repository=a-caller/their.images",
        "--certificate-github-workflow-ref=refs/heads/main",
    ]
    assert r"owner/a\.name/" in found.arguments[0]
    assert "called from" not in found.arguments[0]
    assert f"called from {caller}" in found.words
    # The workflow's own repository is written out all the same.
    with pytest.raises(InputError, match="write out the one in which it has to run"):
        trust_of(None, f".* called from {caller}", GITHUB)


@pytest.mark.parametrize(
    "caller",
    [
        *("", "owner", ".*/.*", "owner/name/more", "owner/a b"),
        # Without a ref, or with what no branch or tag is.
        *("owner/name", "owner/name@", "owner/name@main", "owner/name@refs/heads/"),
        *("owner/name@refs/pull/1/merge", "owner/name@refs/heads/a b", "owner/.*@refs/heads/main"),
    ],
)
def test_who_calls_a_workflow_is_one_repository_at_one_branch_or_tag(caller: str) -> None:
    pattern = "https://github.com/owner/name/x@v1"
    with pytest.raises(InputError, match="called from OWNER/NAME@refs/heads/BRANCH"):
        trust_of(None, f"{pattern} called from {caller}", GITHUB)


@pytest.mark.parametrize("start", ["", "(refs/tags/)?", "refs/tags/", "refs/heads/"])
@pytest.mark.parametrize("end", ["", "$"])
@pytest.mark.parametrize("caller", ["", " called from an-owner/images@refs/tags/v1"])
def test_a_ref_that_is_written_as_it_is_is_no_pattern(start: str, end: str, caller: str) -> None:
    workflow = r"https://github\.com/owner/name/x\.yml@" + start
    for written in ("release/v1.0+rocm-7", r"release/v1\.0\+rocm-7", "release/v1[.]0[+]rocm-7"):
        (identity, *_) = trust_of(None, f"{workflow}{written}{end}{caller}", GITHUB).arguments
        given = re.compile(identity.partition("=")[2])
        ref = "" if start.startswith("(") else start
        whole = f"https://github.com/owner/name/x.yml@{ref}release/v1.0+rocm-7"
        assert given.match(whole), written
        for other in ("v1x0+rocm-7", "v1.00rocm-7", "v1.0rocm-7", "v1.0+rocm-7x"):
            assert not given.match(whole.replace("v1.0+rocm-7", other)), written


@pytest.mark.parametrize("pattern", ["refs/tags/v.*", "refs/tags/v.+", r"v\d+", "(a|b.c)", "v1.?"])
def test_a_ref_that_is_a_pattern_stays_one(pattern: str) -> None:
    identity = f"https://github.com/owner/name/x@{pattern}"
    assert trust_of(None, identity, GITHUB).identity == identity
