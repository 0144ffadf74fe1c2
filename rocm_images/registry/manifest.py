"""What a manifest is: everything that a registry has is read through these checks.

Python and the engine's Go read the same text differently: where a key is there twice, or in other
case, Go takes the last one (https://pkg.go.dev/encoding/json#Unmarshal). Such a text, and one that
is an image and an index at once (CVE-2021-41190), is no manifest here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rocm_images import foreign

LARGEST_MANIFEST = 4 * 1024 * 1024
"""Bytes: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-manifests"""
LARGEST_BLOB = 32 * 1024 * 1024
"""Bytes of a configuration, a catalogue or an attestation; layers are the engine's business."""
_OCI, _DOCKER = "application/vnd.oci.image", "application/vnd.docker"
IMAGE_KINDS = (f"{_OCI}.manifest.v1+json", f"{_DOCKER}.distribution.manifest.v2+json")
INDEX_KINDS = (f"{_OCI}.index.v1+json", f"{_DOCKER}.distribution.manifest.list.v2+json")
CONFIG_KINDS = (f"{_OCI}.config.v1+json", f"{_DOCKER}.container.image.v1+json")
LAYER_KINDS = (
    *(f"{_OCI}.layer.v1.tar{end}" for end in ("", "+gzip", "+zstd")),
    *(f"{_DOCKER}.image.rootfs.diff.tar{end}" for end in ("", ".gzip", ".zstd")),
)


class Checked(BaseModel):
    """An object whose known keys are of the right types; it may have others."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _exact_keys(cls, found: object) -> object:
        names = [field.alias or name for name, field in cls.model_fields.items()]
        known = {name.casefold(): name for name in names}
        for key in found if isinstance(found, dict) else ():
            if known.get(str(key).casefold(), key) != key:
                raise ValueError(f"the key {key} is written in another case")
        return found


class _Platform(Checked):
    architecture: str
    os: str


class _Descriptor(Checked):
    mediaType: str
    digest: Annotated[str, Field(pattern=r"\Asha256:[0-9a-f]{64}\z")]
    size: Annotated[int, Field(ge=0, lt=2**63)]
    annotations: dict[str, str] | None = None
    platform: _Platform | None = None


class _Document(Checked):
    schemaVersion: Annotated[int, Field(ge=2, le=2)]
    mediaType: str | None = None
    config: _Descriptor | None = None
    layers: list[_Descriptor] | None = None
    manifests: list[_Descriptor] | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> _Document:
        image = self.config is not None and self.layers is not None
        index = self.manifests is not None
        if index == image or (index and (self.config or self.layers is not None)):
            raise ValueError("it must have either config and layers, or manifests")
        if self.mediaType in (INDEX_KINDS if image else IMAGE_KINDS):
            raise ValueError(f"it has the parts of another thing than {self.mediaType}")
        return self


@dataclass(frozen=True)
class Manifest:
    """A manifest or an index, byte for byte as the registry has it.

    Raises:
        ValueError: the content is no manifest; says why.
    """

    content: bytes

    def __post_init__(self) -> None:
        if len(self.content) > LARGEST_MANIFEST:
            raise ValueError(f"it is larger than {LARGEST_MANIFEST >> 20} MiB")
        checked(_Document, self.document)

    @property
    def digest(self) -> str:
        """`sha256:` and the hex digits of its content."""
        return digest_of(self.content)

    @cached_property
    def document(self) -> dict[str, Any]:
        """What it says: an object with `config` and `layers`, or with `manifests`."""
        return parsed(self.content)


def digest_of(content: bytes) -> str:
    """`sha256:` and the hex digits of a content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def parsed(content: bytes) -> dict[str, Any]:
    """The JSON object of a text that every reader reads alike.

    Raises:
        ValueError: it is no JSON object, or one that some read otherwise; says why.
    """
    try:
        # Not with a mark of the order of bytes, which Go takes for no JSON.
        text = content.decode("utf-8")
        foreign.parsed(text)
        found = json.loads(text, object_pairs_hook=_unique)
    except UnicodeError:
        raise ValueError("it is no UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON: {error}" if content else "it is empty") from None
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    return found


def checked(model: type[Checked], document: object) -> None:
    """Compare an object with what it must be.

    Raises:
        ValueError: it is something else; says where, and why.
    """
    try:
        model.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        problem = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{place}: {problem}" if place else problem) from None


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found
