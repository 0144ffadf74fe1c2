"""An image as a registry has it: its manifest, its configuration, and what must hold of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rocm_images.errors import RegistryError, VerificationFailed
from rocm_images.registry.manifest import (
    CONFIG_KINDS,
    IMAGE_KINDS,
    INDEX_KINDS,
    LAYER_KINDS,
    Checked,
    Manifest,
    checked,
    digest_of,
    parsed,
)
from rocm_images.tables import bytes_in_words
from rocm_images.telling import counted, quoted

_THIS = ("linux", "amd64")
# https://docs.docker.com/build/metadata/attestations/attestation-storage/
_ATTESTATION = ("unknown", "unknown")
_KIND, _OF = "vnd.docker.reference.type", "vnd.docker.reference.digest"


class Store(Protocol):
    """Where manifests and blobs are: a registry's repository, or an OCI layout."""

    def reference(self, tag_or_digest: str) -> str:
        """What an image in it is called."""

    def manifest(self, tag_or_digest: str) -> Manifest | None:
        """A manifest or index, or None where there is none.

        Raises:
            RegistryError, ValueError: there is something else.
        """

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
    steps: tuple[str, ...] = ()
    """The step that made each layer, as its configuration says; the oldest first."""

    @property
    def digest(self) -> str:
        """The digest by which the image is pulled."""
        return self.top.digest

    @property
    def extent(self) -> str:
        """How many layers it has, and how large they are as the registry keeps them."""
        layers = self.manifest["layers"]
        size = bytes_in_words(sum(layer["size"] for layer in layers))
        return f"{counted(len(layers), 'layer')}, {size} compressed"

    @property
    def ids(self) -> frozenset[str]:
        """Every id that an engine may know the image by.

        The containerd image store names it by what was pulled, the older store by its
        configuration.
        """
        return frozenset({self.digest, self.manifest_digest, self.manifest["config"]["digest"]})


class _Settings(Checked):
    Labels: dict[str, str] | None = None


class _Step(Checked):
    created_by: str = ""
    empty_layer: bool = False


class _Configuration(Checked):
    config: _Settings | None = None
    history: list[_Step] | None = None


def image_at(repository: Store, tag_or_digest: str) -> PublishedImage | None:
    """The image that a tag or digest stands for, or None; its configuration is read as well.

    Raises:
        RegistryError: the registry does not answer, or has parts that are missing or altered.
        VerificationFailed: it is an index of more than one image for this program's platform and
            its attestations: an engine might run another than was looked at.
    """
    name = repository.reference(tag_or_digest)
    try:
        top = repository.manifest(tag_or_digest)
        if top is None:
            return None
        image = top
        if "manifests" in top.document:
            image = _image_of_index(repository, top)
        document = image.document
        _check_kinds(name, document)
        expected = document["config"]
        content = repository.blob(expected["digest"])
        if digest_of(content) != expected["digest"] or len(content) != expected["size"]:
            raise ValueError("its configuration is not the one that the manifest names")
        configuration = parsed(content)
        checked(_Configuration, configuration)
    except ValueError as error:
        raise RegistryError(f"{name} is no image that can be read ({quoted(error)})") from None
    labels = (configuration.get("config") or {}).get("Labels") or {}
    reference = repository.reference(top.digest)
    steps = tuple(
        step.get("created_by", "")
        for step in configuration.get("history") or ()
        if not step.get("empty_layer")
    )
    return PublishedImage(reference, top, document, image.digest, labels, steps)


def _image_of_index(repository: Store, index: Manifest) -> Manifest:
    """The one image of an index.

    Raises: see image_at.
    """
    name = repository.reference(index.digest)
    entries = index.document["manifests"]
    images = [entry for entry in entries if _platform(entry) != _ATTESTATION]
    if index.document.get("mediaType") not in INDEX_KINDS:
        raise _other(name, "an index that does not say that it is one")
    if [_platform(entry) for entry in images] != [_THIS]:
        found = ", ".join("/".join(_platform(entry)) for entry in images) or "nothing"
        raise _other(name, f"an index of {quoted(found)} and not of {'/'.join(_THIS)} alone")
    digest = images[0]["digest"]
    for entry in entries:
        notes = entry.get("annotations") or {}
        attests = (notes.get(_KIND), notes.get(_OF)) == ("attestation-manifest", digest)
        if entry["mediaType"] not in IMAGE_KINDS or not (attests or entry is images[0]):
            raise _other(name, f"an index with {entry['digest']}, no attestation of its image")
    found_image = repository.manifest(digest)
    if found_image is None:
        raise RegistryError(f"{name}: the registry lacks a part of it, {digest}: publish it again")
    return found_image


def is_for_here(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of an index is an image for this program's platform."""
    return _platform(entry) == _THIS


def _platform(entry: Mapping[str, Any]) -> tuple[str, str]:
    platform = entry.get("platform") or {}
    return platform.get("os", "any"), platform.get("architecture", "platform")


def _check_kinds(name: str, document: Mapping[str, Any]) -> None:
    """Refuse what is no image: an index in an index, an artifact, layers from elsewhere."""
    if document.get("mediaType") not in IMAGE_KINDS or "manifests" in document:
        raise _other(name, f"a manifest of the kind {quoted(document.get('mediaType'))}")
    if document["config"]["mediaType"] not in CONFIG_KINDS:
        raise _other(name, f"an artifact of the kind {quoted(document['config']['mediaType'])}")
    if not document["layers"]:
        raise _other(name, "an image without layers")
    for layer in document["layers"]:
        if layer["mediaType"] not in LAYER_KINDS:
            raise _other(name, f"an image with a layer of the kind {quoted(layer['mediaType'])}")


def _other(name: str, what: str) -> VerificationFailed:
    return VerificationFailed(
        f"{name} is {what}: this program publishes one image with its attestations; do not use it"
    )
