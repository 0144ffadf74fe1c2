"""An image as a registry has it: its manifest, its configuration, and what must hold of both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rocm_images.errors import RegistryError
from rocm_images.registry.client import Manifest

_INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


class Store(Protocol):
    """Where manifests and blobs are: a registry's repository, or an OCI layout."""

    def reference(self, tag_or_digest: str) -> str:
        """What an image in it is called."""

    def manifest(self, tag_or_digest: str) -> Manifest | None:
        """A manifest or index, or None where there is none."""

    def blob(self, digest: str) -> bytes:
        """A small blob, whose content has that digest."""


@dataclass(frozen=True)
class PublishedImage:
    """One image of a repository."""

    reference: str
    """The image by digest."""
    top: Manifest
    """What the tag stands for: the image's manifest, or an index of it and its attestations."""
    manifest: Mapping[str, Any]
    """The image's own manifest."""
    manifest_digest: str
    labels: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The digest by which the image is pulled."""
        return self.top.digest

    @property
    def ids(self) -> frozenset[str]:
        """Every id that an engine may know the image by.

        The containerd image store names it by what was pulled, the older store by its
        configuration.
        """
        return frozenset({self.digest, self.manifest_digest, self.manifest["config"]["digest"]})

    def is_exactly(self, image_id: str) -> bool:
        """Whether this is the image of that id and nothing beside it.

        An index that somebody else made can hold an image of ours: it has another digest, and what
        an engine runs of it is another question.
        """
        known = {self.digest}
        if self.manifest_digest == self.digest:
            known.add(self.manifest["config"]["digest"])
        return image_id in known


def image_at(repository: Store, tag_or_digest: str) -> PublishedImage | None:
    """The image that a tag or digest stands for, or None; its configuration is read as well.

    Raises:
        RegistryError: the registry does not answer, or has parts that are missing or altered.
    """
    top = repository.manifest(tag_or_digest)
    if top is None:
        return None
    try:
        image = top
        if top.document.get("mediaType") in _INDEXES:
            image = _of_this_platform(repository, top)
        document = image.document
        digest = document["config"]["digest"]
        content = repository.blob(digest)
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise RegistryError(f"{repository.reference(digest)}: was altered in the registry")
        labels = json.loads(content).get("config", {}).get("Labels") or {}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise RegistryError(
            f"{repository.reference(tag_or_digest)} is no image that can be read ({error!r})"
        ) from None
    reference = repository.reference(top.digest)
    return PublishedImage(reference, top, document, image.digest, labels)


def _of_this_platform(repository: Store, index: Manifest) -> Manifest:
    for entry in index.document["manifests"]:
        # BuildKit's attestations lie beside the image, as manifests of an unknown platform.
        if entry.get("platform", {}).get("os") == "linux":
            found = repository.manifest(entry["digest"])
            if found is None:
                raise RegistryError(
                    f"{repository.reference(index.digest)}: the registry lacks a part of it, "
                    f"{entry['digest']}: publish it again"
                )
            return found
    raise KeyError("no linux image in the index")
