"""The schema of the file that an image's self-test writes (docs/selftest.md)."""

from __future__ import annotations

import datetime
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from rocm_images.reference_types import Digest
from rocm_images.smoke.evidence import Level

Status = Literal["passed", "failed", "not-run"]
TierName = Literal["doctor", "probe", "serve", "race"]
TIERS: tuple[str, ...] = get_args(TierName)
"""The tiers of a test that was finished, in their order."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Image(_Model):
    """Which image it was: `contents` as seen from inside, `id` as somebody told the container."""

    id: Digest | None
    contents: Digest
    description: dict[str, Any] | None

    def text(self, key: str) -> str | None:
        """A text of the image's own description (image.json), None where it has none."""
        value = (self.description or {}).get(key)
        return value if isinstance(value, str) else None


class Tier(_Model):
    """What one tier showed; `found` is what its program printed. Seconds."""

    name: TierName
    status: Status
    sentence: str
    seconds: float = Field(ge=0)
    exit_code: int | None
    found: dict[str, Any] | None


class Selftest(_Model):
    """The whole file."""

    kind: Literal["rocm-serving-images selftest"]
    # Not the name `schema`: that is a method of pydantic's models.
    schema_version: Literal[1] = Field(alias="schema")
    date: str
    seconds: float = Field(ge=0)
    image: Image
    level: Literal["static", "stand-in", "emulated", "gpu", "serve"]
    passed: bool
    tiers: tuple[Tier, ...] = Field(strict=False, fail_fast=True)
    seal: Digest

    def tier(self, name: str) -> Tier | None:
        """The tier of that name, None where it is not there."""
        return next((tier for tier in self.tiers if tier.name == name), None)

    @property
    def claimed(self) -> Level:
        """The level that the file claims."""
        return Level(self.level)

    @property
    def written(self) -> datetime.datetime:
        """When it was written. Raises ValueError where the date is none."""
        return datetime.datetime.fromisoformat(self.date)
