"""The schema of matrix.yaml: what is built, from what, with which settings, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rocm_images.matrix.types import (
    ArchName,
    ArgumentText,
    CompressionText,
    DateText,
    EnvironmentName,
    EnvironmentValue,
    ExtraName,
    FindingId,
    GfxName,
    GitRef,
    ImageText,
    LabelText,
    OneOrMore,
    RangeText,
    Reference,
    ReleaseText,
    RepositoryText,
    ScannerVariable,
    Sentence,
    Sha256,
    SizeText,
    SpdxText,
    TagSuffix,
    Url,
    VersionText,
    Word,
)


class _Model(BaseModel):
    # Deferred, so that a validator is built for the whole matrix alone and not for each part of it.
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Image(_Model):
    """What all images say of themselves."""

    source: Url
    licenses: SpdxText
    vendor: LabelText | None = None
    """Who distributes them."""
    authors: LabelText | None = None
    """Whom to write to."""
    url: Url | None = None
    """Where more about them is found; None: where their source is."""


class Arch(_Model):
    """One GPU architecture. `family` ends the tag; `gpus` are the marketing names."""

    gfx: GfxName
    family: Word
    gpus: Annotated[tuple[LabelText, ...], Field(min_length=1)]


class Sdk(_Model):
    """ROCm and PyTorch as wheels of AMD's SDK, for a base that is an image of a distribution."""

    index: Url
    packages: Annotated[dict[Word, VersionText], Field(min_length=1)]
    devices: dict[Word, VersionText] = {}
    """Packages that there are for each GPU: the image's gfx is added to the name."""
    why: Sentence
    references: tuple[Reference, ...] = ()

    @field_validator("packages")
    @classmethod
    def _with_torch(cls, packages: dict[str, str]) -> dict[str, str]:
        if "torch" not in packages:
            raise ValueError("torch is missing here: add the SDK's")
        return packages


class Base(_Model):
    """One ROCm base image; its version is its key in `bases`."""

    image: ImageText
    python: ReleaseText
    torch: VersionText
    sdk: Sdk | None = None
    """Where the image brings no ROCm: what is installed into it. None: it is AMD's rocm/pytorch."""
    recommended: bool = False
    supported_until: DateText | None = None
    """The last day on which whoever makes it still mends it: docs/support.md."""
    supported_why: Sentence | None = None
    """Who says so, and where."""

    @model_validator(mode="after")
    def _with_its_reason(self) -> Base:
        if bool(self.supported_until) is not bool(self.supported_why):
            raise ValueError("give supported_until and supported_why, or neither")
        return self


class HipBuild(_Model):
    """The first and the last ROCm release known to have a version of HIP; those between have it."""

    first: ReleaseText
    last: ReleaseText
    why: Sentence
    references: tuple[Reference, ...] = ()


class Ranges(_Model):
    """Where something holds: version ranges (PEP 440) that must all hold, and archs; none: always.

    `server` is the version of the cell's inference server.
    """

    rocm: RangeText | None = None
    python: RangeText | None = None
    torch: RangeText | None = None
    server: RangeText | None = None
    archs: tuple[ArchName, ...] = ()


class Variant(_Model):
    """Something that may differ from cell to cell: of several, the first that fits is taken."""

    fits: Ranges = Field(Ranges.model_construct(), alias="for")
    why: Sentence
    references: tuple[Reference, ...] = ()


class Source(Variant):
    """One source tree, by git. `version` is what the built package must report."""

    git: Url
    ref: GitRef
    version: VersionText


class Download(Variant):
    """One file, by https address and digest: an installer, say, and the toolchain it installs."""

    url: Url
    sha256: Sha256
    version: VersionText
    toolchain: ReleaseText | None = None


class Extra(Variant):
    """The extra of the server's wheel whose requirements are installed."""

    name: ExtraName


class Package(Variant):
    """One pinned Python package, installed from `index` (a PEP 503 address), or left out."""

    version: VersionText = ""
    index: Url = ""
    leave_out: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Package:
        if self.leave_out is bool(self.version or self.index) or (
            bool(self.version) is not bool(self.index)
        ):
            raise ValueError("give version and index, or leave_out: true and neither")
        return self


class Setting(Variant):
    """The value of one environment variable, and why it is set. Where none fits it is not set."""

    value: EnvironmentValue


class Affected(_Model):
    """Version ranges (PEP 440) that must all hold for an advisory to apply; none: always.

    `sources` are ranges over what images are built from. A cell that lacks such a source, and one
    of another server, is not affected. `releases` are ranges over the servers' own versions: each
    binds cells of its server alone.
    """

    rocm: RangeText | None = None
    python: RangeText | None = None
    torch: RangeText | None = None
    sources: dict[Word, RangeText] = {}
    servers: tuple[Word, ...] = ()
    releases: dict[Word, RangeText] = {}
    archs: tuple[ArchName, ...] = ()


class Advisory(_Model):
    """A known problem, and what mitigates it where its ranges match.

    `set` holds environment variables of the image: one whose name begins as a server's own do is
    for images of that server alone, any other for all. Where none help, `why` says what the recipe
    does or what the user should do.
    """

    id: Word
    component: Sentence
    affected: Affected
    symptom: Sentence
    set: dict[EnvironmentName, EnvironmentValue] = {}
    why: Sentence
    base_at_least: ReleaseText | None = None
    """The ROCm release from which a base is free of it: images on an older one warn."""
    capture_guard: bool = False
    """Whether images that it applies to carry the capture guard (docs/capture-guard.md)."""
    fixed_in: Sentence | None = None
    references: Annotated[tuple[Reference, ...], Field(min_length=1)]


class Budget(_Model):
    """How much a node may have to pull of an image; compressed, as registries have it."""

    compressed: SizeText | None = None
    """Of the whole image, by a node that has nothing."""
    delta: SizeText | None = None
    """By a node that has the channel's previous image of the same cell."""

    @model_validator(mode="after")
    def _of_something(self) -> Budget:
        if not (self.compressed or self.delta):
            raise ValueError("give compressed, delta, or both; or leave the budget out")
        return self


class Allowed(_Model):
    """A finding of the scanner that is known, and allowed until a day, that one included."""

    id: FindingId
    why: Sentence
    until: DateText


class Scan(_Model):
    """The scanner that a channel asks for known vulnerabilities: docs/scan.md."""

    command: Annotated[tuple[ArgumentText, ...], Field(min_length=1)]
    """What is run, without a shell; {sbom} in it is the file of the image's SBOM."""
    at_most: Literal["none", "info", "low", "medium", "high"]
    """The worst severity that is let through; none: no finding at all is."""
    environment: tuple[ScannerVariable, ...] = ()
    """The variables that it is given beside those that every program needs."""
    allow: tuple[Allowed, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Scan:
        if not any("{sbom}" in word for word in self.command):
            raise ValueError("command has no {sbom}: write it where the scanner takes the SBOM")
        ids = [one.id for one in self.allow]
        if twice := next((one for one in ids if ids.count(one) > 1), None):
            raise ValueError(f"allow has {twice} twice: leave one out")
        return self


class Channel(_Model):
    """Where images are published to: what they must have been tested on, and the end of their tags.

    A channel without `suffix` moves the plain rolling tags.
    """

    evidence: Literal["static", "emulated", "gpu", "serve"]
    suffix: TagSuffix = ""
    budget: Budget | None = None
    """What its images may take of a node's pull; None: whatever they do."""
    scan: Scan | None = None
    """What is asked for known vulnerabilities of its images; None: nobody is."""
    until: DateText | None = None
    """The last day on which the channel is kept: docs/support.md."""
    why: Sentence


class Layers(_Model):
    """How layers are compressed where they are published: docs/layers.md."""

    compression: CompressionText = "zstd:3"
    """Of the layers that a build adds; gzip, for clients that read nothing else, of all layers."""
    recompress_base: bool = False
    """Also of the base's, which are then other ones than those of the vendor's image."""


class Exclusion(_Model):
    """Cells that are not built: those of this server, arch and base (each may be left out)."""

    server: str | None = None
    arch: str | None = None
    base: str | None = None
    why: Sentence


class Server(_Model):
    """What the images of one inference server are called, built from, and set to.

    Each source and each download is a stage that a named context can replace: NAME-src.
    """

    default: bool = False
    """Whether it is meant where a command line names none."""
    repository: RepositoryText
    title: LabelText
    sources: Annotated[dict[Word, OneOrMore[Source]], Field(min_length=1)]
    downloads: dict[Word, OneOrMore[Download]] = {}
    extra: OneOrMore[Extra] | None = None
    packages: dict[Word, OneOrMore[Package]] = {}
    env: dict[EnvironmentName, OneOrMore[Setting]] = {}


class Matrix(_Model):
    """The whole of matrix.yaml."""

    image: Image
    date: DateText
    """Of the release of the images: what a build writes carries it, whenever it runs."""
    archs: Annotated[dict[ArchName, Arch], Field(min_length=1)]
    bases: Annotated[dict[ReleaseText, Base], Field(min_length=1)]
    hip_builds: dict[ReleaseText, HipBuild] = {}
    servers: Annotated[dict[Word, Server], Field(min_length=1)]
    advisories: tuple[Advisory, ...] = ()
    channels: dict[Word, Channel] = {}
    layers: Layers = Layers.model_construct()
    exclude: tuple[Exclusion, ...] = ()

    @property
    def default_server(self) -> str:
        """The server that is meant where none is named."""
        marked = (name for name, server in self.servers.items() if server.default)
        return next(marked, next(iter(self.servers)))

    @property
    def epoch(self) -> int:
        """The date's first second in UTC, as seconds since 1970: SOURCE_DATE_EPOCH."""
        return int(datetime.fromisoformat(f"{self.date}T00:00:00+00:00").timestamp())
