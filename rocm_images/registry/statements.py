"""What is attested of a published image: its evidence, how it was built, which tags it got."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from rocm_images.errors import VerificationFailed
from rocm_images.reference_types import Tag
from rocm_images.smoke.evidence import Evidence

_PROJECT = "https://github.com/rocm-serving-images/rocm-serving-images"
EVIDENCE = f"{_PROJECT}/evidence/v1"
# By its address and not by cosign's name of it, with which cosign would rewrite the statement.
PROVENANCE = "https://slsa.dev/provenance/v1"
RELEASE = f"{_PROJECT}/release/v1"


def evidence_among(predicates: Iterable[Any], image: str, ids: frozenset[str]) -> Evidence:
    """The newest evidence about an image that is known by these ids: its digest, its config's.

    Raises:
        VerificationFailed: there is none, or only for another image.
    """
    found = [evidence for one in predicates if (evidence := Evidence.of_document(one))]
    if not found:
        raise VerificationFailed(
            f"{image}: its evidence cannot be read: it is of another version of this program, or "
            "none at all"
        )
    # An attacker can put an older statement of ours back beside a newer one.
    of_it = [evidence for evidence in found if evidence.image_id in ids]
    if of_it:
        return max(of_it, key=lambda evidence: evidence.date)
    raise VerificationFailed(
        f"{image}: its evidence is about another image, {found[0].image_id}: nothing says what "
        "this one was tested on; do not use it"
    )


def _with_its_zone(date: datetime.datetime) -> datetime.datetime:
    if date.tzinfo is None:
        raise ValueError("says nothing of its zone")
    return date


Moment = Annotated[datetime.datetime, AfterValidator(_with_its_zone)]


class InChannel(BaseModel):
    """The rolling tags that a publisher gave an image in one channel, and when it did so last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tags: tuple[Tag, ...]
    date: Moment


class Release(BaseModel):
    """What the publisher says of an image: which one it is, and every tag that it gave it.

    A registry's tags are whatever somebody with push rights makes of them. This is signed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_number: Literal[1] = Field(1, alias="schema")
    repository: str
    """Its last part: a mirror has it on another host, below another path."""
    cell: str
    build_id: str
    immutable: Tag
    channels: dict[str, InChannel]

    @classmethod
    def of_document(cls, document: Any) -> Release | None:
        """The release that a predicate holds, or None where it is none of this schema."""
        try:
            return cls.model_validate(document)
        except ValidationError:
            return None

    @property
    def document(self) -> dict[str, Any]:
        """The predicate."""
        return self.model_dump(mode="json", by_alias=True)

    def with_channel(self, channel: str, tags: Sequence[str], date: datetime.datetime) -> Release:
        """The same image, which now has these tags in a channel."""
        given = InChannel(tags=tuple(tags), date=date)
        return self.model_copy(update={"channels": {**self.channels, channel: given}})

    def given_now(self, channel: str, tags: Sequence[str]) -> Release:
        """The same image, which gets these tags now: later than whatever it got before."""
        now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
        if self.latest is not None:
            # The clock of another machine may be ahead of this one's.
            now = max(now, self.latest + datetime.timedelta(seconds=1))
        return self.with_channel(channel, tags, now)

    def of_tag(self, tag: str) -> InChannel | None:
        """When the publisher last gave the image a tag; the immutable one came with the first."""
        if tag == self.immutable:
            return min(self.channels.values(), key=lambda one: one.date, default=None)
        found = [one for one in self.channels.values() if tag in one.tags]
        return max(found, key=lambda one: one.date, default=None)

    @property
    def latest(self) -> datetime.datetime | None:
        """When the publisher last gave the image a rolling tag."""
        return max((one.date for one in self.channels.values()), default=None)


def release_among(predicates: Iterable[Any]) -> Release | None:
    """The newest release among statements; None where there is none that can be read."""
    found = [release for one in predicates if (release := Release.of_document(one))]
    beginning = datetime.datetime.min.replace(tzinfo=datetime.timezone.utc)
    return max(found, key=lambda release: release.latest or beginning, default=None)
