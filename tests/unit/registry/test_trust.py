"""Whose signatures count is said so that nobody else can have them."""

from __future__ import annotations

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
    found = trust_of(None, f"{pattern} called from a-caller/their.images", GITHUB)
    assert found.arguments[-1] == "--certificate-github-workflow-repository=a-caller/their.images"
    assert r"owner/a\.name/" in found.arguments[0]
    assert "called from" not in found.arguments[0]
    assert "called from a-caller/their.images" in found.words
    # The workflow's own repository is written out all the same.
    with pytest.raises(InputError, match="write out the one in which it has to run"):
        trust_of(None, ".* called from a-caller/their.images", GITHUB)


@pytest.mark.parametrize("caller", ["", "owner", ".*/.*", "owner/name/more", "owner/a b"])
def test_who_calls_a_workflow_is_one_repository(caller: str) -> None:
    pattern = "https://github.com/owner/name/x@v1"
    found = trust_of(None, f"{pattern} called from {caller}", GITHUB)
    # No such identity exists: GitHub's have no space.
    assert found.repository == "owner/name"
    assert "called from" in found.arguments[0]
