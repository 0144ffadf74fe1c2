"""The schema of catalogue.json: every published image, with what is known of it.

docs/catalogue.md describes it, docs/catalogue.schema.json is this as JSON Schema. Every text may
come from another site: none can hold a control character, and none that is written into a command
can hold more than a name does.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from packaging.version import Version
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from rocm_images.matrix.types import ReleaseText, VersionText
from rocm_images.reference_types import Digest, Tag
from rocm_images.servers import SERVERS
from rocm_images.smoke.evidence import Level

SCHEMA = 2
"""Raised when a reader of the older schema would misunderstand a catalogue of the new one."""
DEFAULT_CHANNEL = "stable"
"""The channel that is meant where none is named, if there is one of that name."""
SCHEMA_ADDRESS = "https://github.com/rocm-serving-images/rocm-serving-images/blob/main/docs/catalogue.schema.json"


def _a_point_in_time(text: str) -> str:
    datetime.datetime.fromisoformat(text)
    return text


def _unbroken(text: str) -> str:
    """Refuses what terminals take for commands, and what turns the direction of a text."""
    if not text.isprintable():
        raise ValueError("holds a character that cannot be printed")
    return text


def _known_server(name: str) -> str:
    if name not in SERVERS:
        raise ValueError(
            f"this program knows no inference server {name!r} (known: {', '.join(SERVERS)}): take "
            "a newer version of it"
        )
    return name


Text = Annotated[str, AfterValidator(_unbroken)]
Repository = Annotated[
    str,
    Field(
        pattern=r"^([A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?)"
        r"(/[a-z0-9]+([._-]+[a-z0-9]+)*)+$"
    ),
]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$")]
Gfx = Annotated[str, Field(pattern=r"^gfx[0-9a-f]{3,5}$")]
Arch = Annotated[str, Field(pattern=r"^[0-9a-f]{3,5}$")]
Variable = Annotated[str, Field(pattern=r"^[A-Z_][A-Z0-9_]{0,127}$")]
BuildId = Annotated[str, Field(pattern=r"^[0-9a-f]{12,64}$")]
# Larger than any, and no larger than what can be reckoned with.
Bytes = Annotated[int, Field(ge=0, lt=2**63)]
Time = Annotated[
    str,
    Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?[+-]\d\d:\d\d$"),
    AfterValidator(_a_point_in_time),
]


def _a_day(text: str) -> str:
    datetime.date.fromisoformat(text)
    return text


Day = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\d$"), AfterValidator(_a_day)]

# The first item that is wrong is told of; a million of them would take a gigabyte to tell.
FIRST = Field(fail_fast=True)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _is_none(value: object) -> bool:
    return value is None


class AllReduce(_Model):
    """Which all-reduce an image selects, and why."""

    default: Identifier
    """Whose all-reduce the server uses unless a user says otherwise, as `aiter`."""
    reason: Text
    """The advisory that decides it, or why none does."""


class Setting(_Model):
    """An environment variable that an advisory sets in an image."""

    name: Variable
    """The variable."""
    value: Text
    """What it is set to."""
    advisory: Identifier
    """The id of the advisory that sets it."""


class KnownIssue(_Model):
    """An advisory that applies to an image."""

    id: Identifier
    """Its name in docs/advisories.md."""
    component: Text
    """What has the fault."""
    symptom: Text
    """What a user sees."""
    why: Text
    """What the image does about it, or what a user should do."""
    fixed_in: Text | None
    """The release that has the fix; null where none is known."""
    better_base: ReleaseText | None
    """The ROCm release from which a base is free of it."""
    warning: bool
    """Whether the image can only warn of it: a base of `better_base` or later is free of it."""
    references: Annotated[tuple[Text, ...], FIRST]
    """Issues and pull requests: https addresses, or owner/repository#number."""


class TestedOn(_Model):
    """What the image's smoke test ran on, and what it found."""

    __test__ = False  # not a test, whatever pytest makes of the name

    level: Level
    """static: no device. stand-in: our imitation of HIP, no GPU. emulated: the image's own HIP
    runtime on emulated GPUs, no GPU. gpu: a real GPU. serve: the server itself on a real GPU."""
    passed: bool
    """Whether every test passed."""
    tests_passed: Bytes
    """How many tests passed."""
    tests_failed: Bytes
    """How many failed."""
    devices: Annotated[tuple[Text, ...], FIRST]
    """The devices by name, as `8 x AMD Instinct MI300X (gfx942)`; empty for level static."""
    runtime: Text | None
    """The HIP runtime that was really loaded."""
    capture: Text | None
    """Whether a graph capture survived a watchdog thread."""
    judgement: Text | None
    """The image's all-reduce, and what the probe said of it."""
    date: Time
    """When the smoke test ended."""
    ran_as: Text | None = None
    """The flags of `docker run` that the container had on a GPU; null where it had none, or where
    they were not recorded."""


class Layer(_Model):
    """A layer as the registry has it: compressed."""

    digest: Digest
    """The digest of the compressed bytes."""
    size: Bytes
    """Compressed bytes."""
    stage: Text | None = None
    """The stage of the recipe that made it, or `base image`; null where it was not recorded."""
    step: Text | None = None
    """The beginning of the step that made it; null where it was not recorded."""


class Pulls(_Model):
    """Compressed bytes of the layers that a node pulls which has something already.

    null where there is no such thing, or nobody could find out.
    """

    previous: Tag | None = None
    """The immutable tag of the channel's previous image of the same cell."""
    with_previous: Bytes | None = None
    """By a node that has that one."""
    with_other_arch: Bytes | None = None
    """By a node that has the channel's image for other GPUs, of the same base and version."""
    with_base: Bytes | None = None
    """By a node that has the base image alone, as its own registry has it."""


class CatalogueEntry(_Model):
    """One image in one channel of a registry."""

    cell: Identifier
    """The server, the arch and the base, as in `SERVER-942-rocm7.2.2`."""
    repository: Repository
    """HOST[:PORT]/NAME."""
    tags: Annotated[tuple[Tag, ...], FIRST]
    """Its rolling tags, the most specific first. In `history`: those that it had."""
    immutable_tag: Tag
    """The tag that never moves."""
    digest: Digest
    """What the immutable tag stands for: an image manifest, or an index of one image."""
    arch: Arch
    """The name of the GPU architecture in the matrix."""
    gfx: Gfx
    """The GPU architecture as ROCm calls it."""
    gpus: Annotated[tuple[Text, ...], Field(min_length=1), FIRST]
    """The GPUs by marketing name."""
    rocm: ReleaseText
    """The ROCm release of the base image."""
    server: Annotated[Identifier, AfterValidator(_known_server)]
    """The inference server that it holds, as matrix.yaml names it."""
    version: VersionText
    """The server's version."""
    components: dict[Identifier, VersionText]
    """Versions of what else is built from source for it, as `aiter`."""
    recommended: bool
    """Whether its base is the one to prefer for these GPUs and this version of the server."""
    channel: Identifier | None
    """The channel that it was published to; null where channels are not used."""
    base_image: Text
    """The reference of the base image."""
    all_reduce: AllReduce
    settings: Annotated[tuple[Setting, ...], FIRST]
    """What advisories set in its environment."""
    known_issues: Annotated[tuple[KnownIssue, ...], FIRST]
    """The advisories that apply to it."""
    tested_on: TestedOn
    size: Bytes
    """Compressed bytes of all layers: what a first pull transfers."""
    unpacked: Bytes | None = None
    """Bytes of its layers unpacked, as the publisher's engine has it; null where no engine had it
    when it was published. A node with containerd keeps the compressed layers as well."""
    layers: Annotated[tuple[Layer, ...], FIRST]
    """The oldest first."""
    shared: Bytes
    """Compressed bytes of the layers that images of the same base for other GPUs have as well."""
    pulls: Pulls = Pulls()
    published: Time
    """When it was published."""
    build_id: BuildId
    """The hash of everything that went into it."""
    supported_until: Annotated[Day | None, Field(exclude_if=_is_none)] = None
    """The last day on which whoever makes its base mends that; left out where nobody said."""
    supported_why: Annotated[Text | None, Field(exclude_if=_is_none)] = None
    """Who says so, and where."""
    channel_until: Annotated[Day | None, Field(exclude_if=_is_none)] = None
    """The last day on which its channel is kept; left out where it has no end."""
    stand_in: bool
    """Whether it is a rehearsal's image, built from stand-ins: good for nothing but trying."""

    @property
    def reference(self) -> str:
        """The image by its digest: what to pull and run."""
        return f"{self.repository}@{self.digest}"

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Of images with one key, the newest is current and the others are history."""
        return self.repository, self.channel or "", self.cell, self.version

    @property
    def is_prerelease(self) -> bool:
        """Whether the server's version comes before a release: rc, a, b, dev (PEP 440)."""
        return Version(self.version).is_prerelease

    @property
    def newness(self) -> tuple[Version, Version]:
        """Orders images: by the server's version, then by ROCm."""
        return Version(self.version), Version(self.rocm)

    @property
    def preference(self) -> tuple[bool, Version, Version]:
        """The largest is the one to prefer: any release, then the newest."""
        return (not self.is_prerelease, *self.newness)

    @property
    def warnings(self) -> tuple[KnownIssue, ...]:
        """The issues of which only a newer base is free."""
        return tuple(issue for issue in self.known_issues if issue.warning)


class Catalogue(_Model):
    """The whole of catalogue.json."""

    schema_version: Literal[2] = Field(alias="schema")
    """The version of this schema."""
    updated: Time
    """When it was last changed."""
    images: Annotated[tuple[CatalogueEntry, ...], FIRST] = ()
    """The current images: one for each repository, channel, cell and server version."""
    history: Annotated[tuple[CatalogueEntry, ...], FIRST] = ()
    """Images that were replaced, the latest first; their immutable tags still stand."""


def json_schema() -> dict[str, object]:
    """The schema as JSON Schema (2020-12)."""
    document = Catalogue.model_json_schema(mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ADDRESS,
        **document,
    }
