"""The bill of an image as a document: what syft says, made the same for the same image.

Format: CycloneDX, https://cyclonedx.org/docs/1.6/json/. syft writes the time and a random number
into each, whatever SOURCE_DATE_EPOCH says (https://github.com/anchore/syft/issues/3931).
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rocm_images import foreign
from rocm_images.engine.images import BUILD_ID, CELL
from rocm_images.masking import masked_document
from rocm_images.recipe.labels import VERSION

KIND = "https://cyclonedx.org/bom"
"""What cosign calls the predicate, by its address as for each other."""
MEDIA_TYPE = "application/vnd.cyclonedx+json"
_TITLE = "org.opencontainers.image.title"
_CPE = "syft:cpe23"
_SIZE = "syft:metadata:installedSize"
_DPKG_UNIT = 1024
"""Bytes: dpkg's Installed-Size is in KiB (deb-control(5))."""
_KINDS = {"pkg:deb/": "dpkg", "pkg:pypi/": "pip"}
_OTHER = "other"
_SYSTEM = ("file", "operating-system")


class _Named(BaseModel):
    """Something with a name, of which more is said than is read here."""

    model_config = ConfigDict(frozen=True)

    name: str


class _Property(_Named):
    value: str = ""


class _Component(_Named):
    type: str
    version: str = ""
    description: str = ""
    purl: str = ""
    properties: tuple[_Property, ...] = ()


class _Dependency(BaseModel):
    model_config = ConfigDict(frozen=True)

    ref: str
    names: tuple[str, ...] = Field((), alias="dependsOn")


class _Metadata(BaseModel):
    model_config = ConfigDict(frozen=True)

    component: _Component


class _Bom(BaseModel):
    model_config = ConfigDict(frozen=True)

    format: Literal["CycloneDX"] = Field(alias="bomFormat")
    version: Literal["1.4", "1.5", "1.6"] = Field(alias="specVersion")
    metadata: _Metadata
    components: tuple[_Component, ...] = ()
    dependencies: tuple[_Dependency, ...] = ()


@dataclass(frozen=True)
class Package:
    """One package of an image; its texts can be shown as they are, on one line."""

    kind: str
    """`dpkg`, `pip`, or `other`."""
    name: str
    version: str
    size: int | None = None
    """Bytes unpacked, as dpkg says it; None of others, which no bill says."""


@dataclass(frozen=True)
class Bill:
    """What a bill says that this program reads."""

    image_id: str
    """Of the image that it is of, as an engine knows it: its manifest's, or its configuration's."""
    name: str
    cell: str
    """Empty for an image of another project."""
    build_id: str
    packages: tuple[Package, ...]

    @classmethod
    def of_document(cls, document: Any) -> Bill:
        """What a document says.

        Raises:
            ValueError: it is no bill in CycloneDX.
        """
        try:
            found = _Bom.model_validate(document)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise ValueError(f"it is no CycloneDX of an image: {place}: {first['msg']}") from None
        of = found.metadata.component
        said = {one.name: foreign.shown_line(one.value) for one in of.properties}
        return cls(
            image_id=of.version,
            name=foreign.shown_line(of.description or of.name),
            cell=said.get(CELL, ""),
            build_id=said.get(BUILD_ID, ""),
            packages=tuple(map(_package, (c for c in found.components if c.type not in _SYSTEM))),
        )

    @property
    def versions(self) -> dict[str, dict[str, str]]:
        """Versions by name, for each kind; several where several environments have a package."""
        found: dict[str, dict[str, list[str]]] = {kind: {} for kind in (*_KINDS.values(), _OTHER)}
        for one in self.packages:
            versions = found[one.kind].setdefault(one.name, [])
            if one.version not in versions:
                versions.append(one.version)
        return {
            kind: {name: ", ".join(sorted(versions)) for name, versions in sorted(of.items())}
            for kind, of in found.items()
        }

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes unpacked by name, of what dpkg installed."""
        found: dict[str, int] = {}
        for one in self.packages:
            if one.size is not None:
                # One name has a package for each architecture.
                found[one.name] = found.get(one.name, 0) + one.size
        return dict(sorted(found.items()))


def is_bill(document: object) -> bool:
    """Whether a document says that it is one, whatever it is."""
    return isinstance(document, dict) and document.get("bomFormat") == "CycloneDX"


def normalised(said: Any, image_id: str, labels: Mapping[str, str]) -> dict[str, object]:
    """What syft said of an image, as the same bytes whenever it says the same.

    Without the time, the number that it drew, the names that vulnerabilities may be found by (a
    scanner makes them of what stays) and lists of files; and of the image instead of a folder.

    Raises:
        ValueError: it is no CycloneDX.
    """
    Bill.of_document(said)
    document = masked_document(said)
    metadata = document["metadata"]
    metadata.pop("timestamp", None)
    # A name that its author gives it, as whose registry has it is for the registry to say.
    metadata["component"] = {
        "bom-ref": image_id,
        "type": "container",
        "name": labels.get(_TITLE) or "image",
        "version": image_id,
        **({"description": labels[VERSION]} if labels.get(VERSION) else {}),
        "properties": [
            {"name": name, "value": labels[name]} for name in (BUILD_ID, CELL) if name in labels
        ],
    }
    components = [_plain(one) for one in document.get("components", ()) if one["type"] != "file"]
    document["components"] = sorted(components, key=_order)
    kept = {image_id, *(one.get("bom-ref") for one in components)}
    dependencies = [
        {**one, "dependsOn": sorted(name for name in one.get("dependsOn", ()) if name in kept)}
        for one in document.get("dependencies", ())
        if one.get("ref") in kept
    ]
    document["dependencies"] = sorted(dependencies, key=lambda one: str(one["ref"]))
    document.pop("serialNumber", None)
    content = json.dumps(document, sort_keys=True)
    number = uuid.UUID(bytes=hashlib.sha256(content.encode()).digest()[:16], version=4)
    # In the order in which cosign writes it.
    whole: dict[str, object] = json.loads(content)
    return dict(sorted({**whole, "serialNumber": number.urn}.items()))


def size_of(document: Mapping[str, object]) -> int:
    """Bytes of a document as it is attested."""
    return len(json.dumps(document).encode())


def _plain(component: Mapping[str, Any]) -> dict[str, object]:
    """A component without what tells a vulnerability's database how it may call it."""
    properties = [one for one in component.get("properties", ()) if one["name"] != _CPE]
    kept = {name: value for name, value in component.items() if name not in ("cpe", "properties")}
    return {**kept, **({"properties": properties} if properties else {})}


def _order(component: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(str(component.get(one, "")) for one in ("type", "name", "version", "bom-ref"))


def _package(one: _Component) -> Package:
    kind = next((kind for begin, kind in _KINDS.items() if one.purl.startswith(begin)), _OTHER)
    sizes = [each.value for each in one.properties if each.name == _SIZE] if kind == "dpkg" else []
    size = sizes[0] if sizes else ""
    known = size.isascii() and size.isdecimal() and len(size) < 16
    name, version = (foreign.shown_line(text) for text in (one.name, one.version))
    return Package(kind, name, version, int(size) * _DPKG_UNIT if known else None)
