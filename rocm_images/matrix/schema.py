"""The schema of matrix.yaml: what is built, from what, with which settings, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from rocm_images.matrix.types import (
    ArchName,
    DateText,
    EnvironmentName,
    EnvironmentValue,
    GfxName,
    GitRef,
    ImageText,
    LabelText,
    RangeText,
    Reference,
    ReleaseText,
    RepositoryText,
    Sentence,
    Sha256,
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
    """How the images are named and described."""

    repository: RepositoryText
    title: LabelText
    source: Url
    licenses: SpdxText


class Arch(_Model):
    """One GPU architecture. `family` ends the tag; `gpus` are the marketing names."""

    gfx: GfxName
    family: Word
    gpus: Annotated[tuple[LabelText, ...], Field(min_length=1)]


class Base(_Model):
    """One ROCm base image; its version is its key in `bases`."""

    image: ImageText
    torch: VersionText
    recommended: bool = False


class HipBuild(_Model):
    """The first and the last ROCm release known to have a version of HIP; those between have it."""

    first: ReleaseText
    last: ReleaseText
    why: Sentence
    references: tuple[Reference, ...] = ()


class Source(_Model):
    """One source tree, by git. `version` is what the built package must report."""

    git: Url
    ref: GitRef
    version: VersionText
    why: Sentence


class Rustup(_Model):
    """Rust's installer, by https address and digest, and the toolchain that it installs."""

    url: Url
    sha256: Sha256
    version: VersionText
    toolchain: ReleaseText
    why: Sentence


class Package(_Model):
    """One pinned Python package, installed from `index` (a PEP 503 address)."""

    version: VersionText
    index: Url
    why: Sentence
    references: tuple[Reference, ...] = ()


class Setting(_Model):
    """The value of one environment variable in every image, and why it is set."""

    value: EnvironmentValue
    why: Sentence
    references: tuple[Reference, ...] = ()


class Affected(_Model):
    """Version ranges (PEP 440) that must all hold for an advisory to apply; none: always."""

    rocm: RangeText | None = None
    sglang: RangeText | None = None
    aiter: RangeText | None = None
    torch: RangeText | None = None
    archs: tuple[ArchName, ...] = ()


class Advisory(_Model):
    """A known problem, and what mitigates it where its ranges match.

    `set` holds environment variables of the image; where none help, `why` says what the recipe
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


class Channel(_Model):
    """Where images are published to: what they must have been tested on, and the end of their tags.

    A channel without `suffix` moves the plain rolling tags.
    """

    evidence: Literal["static", "emulated", "gpu", "serve"]
    suffix: TagSuffix = ""
    why: Sentence


class Exclusion(_Model):
    """Cells that are not built: those of this arch and this base (either may be left out)."""

    arch: str | None = None
    base: str | None = None
    why: Sentence


class Sources(_Model):
    """What every image is built from. Each is a stage that a named context can replace."""

    sglang: Source
    aiter: Source
    rustup: Rustup


class Matrix(_Model):
    """The whole of matrix.yaml."""

    image: Image
    date: DateText
    """Of the release of the images: what a build writes carries it, whenever it runs."""
    archs: Annotated[dict[ArchName, Arch], Field(min_length=1)]
    bases: Annotated[dict[ReleaseText, Base], Field(min_length=1)]
    hip_builds: dict[ReleaseText, HipBuild] = {}
    sources: Sources
    packages: dict[Word, Package] = {}
    env: dict[EnvironmentName, Setting] = {}
    advisories: tuple[Advisory, ...] = ()
    channels: dict[Word, Channel] = {}
    exclude: tuple[Exclusion, ...] = ()

    @property
    def epoch(self) -> int:
        """The date's first second in UTC, as seconds since 1970: SOURCE_DATE_EPOCH."""
        return int(datetime.fromisoformat(f"{self.date}T00:00:00+00:00").timestamp())
