"""Names of images: repository, tag, digest, and the one grammar of each.

https://pkg.go.dev/github.com/distribution/reference, without its rarely used corners.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DOCKER_HUB = "docker.io"
"""The registry of images that name none."""
CONTEXT = "docker-image://"
"""How BuildKit's named contexts name an image."""
DIGEST = r"sha256:[0-9a-f]{64}"
TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
REPOSITORY = (
    r"(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?\.[a-zA-Z0-9.-]*[a-zA-Z0-9]|localhost|"
    rf"\[[0-9a-fA-F:]+\]|[a-zA-Z0-9.-]+(?=:\d))(?::\d+)?/)?{_COMPONENT}(?:/{_COMPONENT})*"
)
_IMAGE = re.compile(rf"({REPOSITORY})(?::({TAG}))?(?:@({DIGEST}))?", re.ASCII)


@dataclass(frozen=True)
class ImageName:
    """The name of an image: its repository, with the host of a registry or without, and which."""

    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> ImageName | None:
        """NAME, NAME:TAG, NAME@sha256:... or both; None where it is no name of an image."""
        found = _IMAGE.fullmatch(text)
        return cls(*found.groups()) if found else None

    @property
    def host(self) -> str | None:
        """HOST or HOST:PORT; None where the engine's default registry is meant."""
        first, slash, _ = self.repository.partition("/")
        named = "." in first or ":" in first or first == "localhost"
        return first if slash and named else None


def registry_of(image: str) -> str:
    """HOST or HOST:PORT of the registry that has an image."""
    name = ImageName.parse(image)
    return (name and name.host) or DOCKER_HUB


def tag_of(reference: str) -> str:
    """The tag of a reference that has one and no digest."""
    return reference.rpartition(":")[2]


def repository_of(reference: str) -> str:
    """The repository of a reference that has a tag and no digest."""
    return reference.rpartition(":")[0]


def short(digest: str) -> str:
    """The first 12 hex digits, as Docker shows them too."""
    return digest.removeprefix("sha256:")[:12]
