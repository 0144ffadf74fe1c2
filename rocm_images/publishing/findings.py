"""What a scanner found, held to what a channel allows: pure functions on its answer.

The answer is CycloneDX with `vulnerabilities`, which grype, trivy and osv-scanner write. Format:
https://cyclonedx.org/docs/1.6/json/#vulnerabilities
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationError

from rocm_images import foreign
from rocm_images.matrix.schema import Allowed, Scan
from rocm_images.registry.manifest import Checked, parsed
from rocm_images.telling import counted

SAID_BEFORE = datetime.timedelta(days=30)
"""An allowance that ends is told of so long before."""
UNKNOWN = "unknown"
ORDER = ("none", "info", "low", "medium", "high", "critical")
"""The severities of CycloneDX that are known, the least first."""
_MOST_PACKAGES = 3
_MOST_LETTERS = 120
_DIGEST = re.compile(r"sha256(?::|%3[aA])([0-9a-f]{64})")


class _Read(Checked):
    """What is read of an object, of which more may be said."""

    model_config = ConfigDict(extra="ignore")


class _Rating(_Read):
    severity: str = UNKNOWN


class _Affected(_Read):
    ref: str = ""


class _Vulnerability(_Read):
    id: str = Field(min_length=1)
    ratings: list[_Rating] | None = None
    affects: list[_Affected] | None = None


class _Component(_Read):
    ref: str = Field("", alias="bom-ref")
    name: str = ""
    version: str = ""


class _Subject(_Read):
    ref: str | None = Field(None, alias="bom-ref")
    name: str | None = None
    version: str | None = None
    purl: str | None = None

    @property
    def digests(self) -> frozenset[str]:
        """Those that it is named by."""
        texts = (self.ref, self.name, self.version, self.purl)
        return frozenset(name for text in texts for name in _DIGEST.findall(text or ""))


class _Metadata(_Read):
    component: _Subject | None = None


class _Answer(_Read):
    format: Literal["CycloneDX"] = Field(alias="bomFormat")
    # Who found nothing says so: what has no list at all is another document, as the SBOM itself.
    vulnerabilities: list[_Vulnerability]
    components: list[_Component] | None = None
    metadata: _Metadata | None = None


@dataclass(frozen=True, order=True)
class Finding:
    """One vulnerability of an image; its texts can be shown as they are, on one line."""

    id: str
    severity: str
    """The worst that is said of it; `unknown` where any that is said is not known, or none is."""
    packages: tuple[str, ...]
    """What it is in, as `openssl 3.0.19-1`."""

    @property
    def rank(self) -> int:
        """Orders severities. One that nobody knows may be the worst."""
        return len(ORDER) if self.severity == UNKNOWN else ORDER.index(self.severity)

    @property
    def place(self) -> str:
        """What it is in, in a few words."""
        more = len(self.packages) - _MOST_PACKAGES
        shown = ", ".join(self.packages[:_MOST_PACKAGES])
        return f"{shown} and {more} more" if more > 0 else shown or "-"


@dataclass(frozen=True)
class Judged:
    """The findings of one image, by what a channel makes of them; the worst first."""

    refused: tuple[Finding, ...]
    """Worse than the bound, and not allowed, or no longer."""
    allowed: tuple[tuple[Finding, Allowed], ...]
    """Worse than the bound, and allowed."""
    below: tuple[Finding, ...]
    """Within the bound."""
    expired: tuple[Allowed, ...]
    """What would have allowed one of those refused, until a day that has passed."""
    matched: frozenset[str]
    """The ids on the list of what is allowed that this image has, allowed or not."""

    @property
    def worst(self) -> str:
        """The worst severity of all; `none` without any finding."""
        every = (*self.refused, *(one for one, _ in self.allowed), *self.below)
        return max(every, key=lambda one: one.rank).severity if every else "none"


def findings_in(answer: bytes, sbom: Mapping[str, Any]) -> tuple[Finding, ...]:
    """What a scanner's answer says; `sbom` is what it was asked about, for the packages' names.

    Raises:
        ValueError: it is no CycloneDX with vulnerabilities, larger or odder than what can be read,
            or about another image.
    """
    document = parsed(answer)
    try:
        found = _Answer.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise ValueError(
            f"no CycloneDX with vulnerabilities: {_line(place)}: {first['msg']}"
        ) from None
    _check_subject(found, sbom)
    names = {**_names(sbom.get("components")), **_names_of(found.components or ())}
    merged: dict[str, Finding] = {}
    for one in found.vulnerabilities:
        severity = _worst(each.severity.lower() for each in one.ratings or ())
        packages = {_package(each.ref, names) for each in one.affects or ()}
        new = Finding(_line(one.id), severity, tuple(sorted(packages)))
        # grype lists one for each package.
        merged[new.id] = _together(merged.get(new.id), new)
    return tuple(merged.values())


def judged(findings: Iterable[Finding], scan: Scan, today: datetime.date) -> Judged:
    """What a channel makes of findings on a day: an allowance holds until its own day ends."""
    allow = {one.id: one for one in scan.allow}
    refused, allowed, below, expired = [], [], [], []
    matched = set()
    bound = ORDER.index(scan.at_most)
    for one in sorted(findings, key=lambda each: (-each.rank, each.id)):
        allowance = allow.get(one.id)
        if allowance:
            matched.add(one.id)
        if one.rank <= bound and scan.at_most != "none":
            below.append(one)
        elif allowance and _day(allowance) >= today:
            allowed.append((one, allowance))
        else:
            refused.append(one)
            if allowance:
                expired.append(allowance)
    return Judged(tuple(refused), tuple(allowed), tuple(below), tuple(expired), frozenset(matched))


def notes(scan: Scan, every: Sequence[Judged], channel: str, today: datetime.date) -> list[str]:
    """What is to be said of the list of what is allowed, after all images were scanned."""
    matched = {name for one in every for name in one.matched}
    place = f"channels.{channel}.scan.allow"
    found = []
    for one in scan.allow:
        if one.id not in matched:
            found.append(f"{place}: {one.id} matches nothing that was found: take it out")
        elif today <= _day(one) <= today + SAID_BEFORE:
            days = (_day(one) - today).days
            found.append(
                f"{place}: {one.id} is allowed until {one.until} ({_in_days(days)}), and counts "
                f"again after that: {one.why}"
            )
    return found


def _in_days(days: int) -> str:
    return {0: "today", 1: "tomorrow"}.get(days, f"in {counted(days, 'day')}")


def _day(allowance: Allowed) -> datetime.date:
    return datetime.date.fromisoformat(allowance.until)


def _worst(severities: Iterable[str]) -> str:
    """One that is not known may be the worst, whatever others say."""
    found = set(severities)
    return max(found, key=ORDER.index) if found and found.issubset(ORDER) else UNKNOWN


def _check_subject(found: _Answer, sbom: Mapping[str, Any]) -> None:
    """Refuse what is said of another image.

    A scanner may leave out what its answer is about, or name it without a digest: grype gives it a
    `bom-ref` of its own, and leaves the version as it was.
    """
    component = found.metadata.component if found.metadata else None
    said = component.digests if component else frozenset()
    asked = frozenset(_DIGEST.findall(json.dumps(sbom.get("metadata"))))
    if said and asked and said.isdisjoint(asked):
        raise ValueError(f"it is about another image, sha256:{min(said)}")


def _together(one: Finding | None, other: Finding) -> Finding:
    if one is None:
        return other
    worst = max(one, other, key=lambda each: each.rank)
    packages = sorted({*one.packages, *other.packages})
    return Finding(one.id, worst.severity, tuple(packages))


def _names(components: object) -> dict[str, str]:
    found = {}
    for one in components if isinstance(components, list) else ():
        if isinstance(one, dict) and isinstance(one.get("bom-ref"), str):
            found[one["bom-ref"]] = f"{one.get('name', '')} {one.get('version', '')}".strip()
    return found


def _names_of(components: Iterable[_Component]) -> dict[str, str]:
    return {one.ref: f"{one.name} {one.version}".strip() for one in components if one.ref}


def _package(ref: str, names: Mapping[str, str]) -> str:
    # A link to the SBOM that was scanned ends in what that calls the component.
    name = names.get(ref) or names.get(ref.rpartition("#")[2]) or ref
    return _line(name)


def _line(text: str) -> str:
    line = foreign.shown_line(text)
    return line if len(line) <= _MOST_LETTERS else f"{line[:_MOST_LETTERS]}..."
