"""What is known of a published image once everything that is signed about it was verified.

Signed are the image (by its digest, so with its labels), its evidence, and its release: which tags
its publisher gave it. A tag, a label that nothing signs and a file prove nothing: docs/security.md.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rocm_images.engine.images import BUILD_ID, CELL
from rocm_images.errors import VerificationFailed
from rocm_images.recipe.build_id import SHORT
from rocm_images.recipe.labels import VERSION
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.published import PublishedImage
from rocm_images.registry.statements import (
    EVIDENCE,
    RELEASE,
    InChannel,
    Release,
    evidence_among,
    release_among,
)
from rocm_images.registry.trust import Trust
from rocm_images.smoke.evidence import Evidence

_IMMUTABLE = re.compile(rf".+-[0-9a-f]{{{SHORT}}}", re.ASCII)
# What a site puts between the version and the build id: `-rehearsal`.
_SUFFIX = re.compile(r"(-[a-z]+)?")


@dataclass(frozen=True)
class Verified:
    """One image, and what those who are trusted say of it."""

    image: PublishedImage
    evidence: Evidence
    release: Release | None
    """None: it was pushed, and not published yet."""


def verified(
    cosign: Cosign, image: PublishedImage, trust: Trust, *, layout: Path | None = None
) -> Verified:
    """The image with its evidence and release, when they are signed by those who are trusted.

    `layout` is an OCI layout of the image, which is then read in the place of its registry.

    Raises:
        VerificationFailed: no signature or evidence that is trusted, or about another image.
        RegistryError: the registry does not answer.
    """
    cosign.verify(image.reference, trust, layout=layout)
    said = cosign.statements(image.reference, EVIDENCE, trust, layout=layout)
    evidence = evidence_among(said, image.reference, image.ids)
    release = release_among(_releases(cosign, image, trust, layout))
    labelled = (_label(image, CELL), _label(image, BUILD_ID))
    if release and (release.cell, release.build_id) != labelled:
        raise VerificationFailed(
            f"{image.reference}: it was released as {release.cell} with build id "
            f"{release.build_id[:SHORT]}, and is labelled otherwise: do not use it"
        )
    # A layout has no name: what is loaded from it is verified again where it arrives.
    if release and layout is None and release.repository != _name(image):
        raise VerificationFailed(
            f"{image.reference}: it was released in the repository {release.repository}: somebody "
            "copied it here; take it from there"
        )
    return Verified(image, evidence, release)


def _releases(
    cosign: Cosign, image: PublishedImage, trust: Trust, layout: Path | None
) -> list[Mapping[str, object]]:
    """Every release that is signed for the image; none where it was pushed alone."""
    try:
        return list(cosign.statements(image.reference, RELEASE, trust, layout=layout))
    except VerificationFailed:
        return []


def check_built_as(image: PublishedImage, cell: str, build_id: str) -> None:
    """An image that is signed is the one that was asked for, and not another one of ours.

    Raises:
        VerificationFailed: its labels name another cell or build id.
    """
    found = (_label(image, CELL), _label(image, BUILD_ID))
    if found != (cell, build_id):
        raise VerificationFailed(
            f"{image.reference} is an image of {found[0]} with build id {found[1][:SHORT]}, and "
            f"{cell} with {build_id[:SHORT]} is asked for: someone moved an immutable tag; do not "
            "use it"
        )


def check_immutable_tag(image: PublishedImage, tag: str) -> None:
    """An immutable tag is made of the version, ROCm release, GPUs and build id of its image.

    Raises:
        VerificationFailed: it is another image's.
    """
    version, build_id = _label(image, VERSION), _label(image, BUILD_ID)[:SHORT]
    end = f"-{build_id}"
    fits = tag.startswith(version) and tag.endswith(end)
    if not fits or not _SUFFIX.fullmatch(tag[len(version) : -len(end)]):
        raise VerificationFailed(
            f"{image.reference} is {version} with build id {build_id}, which is not what the tag "
            f"{tag} says: someone moved an immutable tag; do not use it"
        )


def is_immutable(tag: str) -> bool:
    """Whether a tag ends in a build id, as immutable tags do."""
    return _IMMUTABLE.fullmatch(tag) is not None


def check_rolling_tag(found: Verified, tag: str) -> InChannel:
    """A rolling tag stands for an image that its publisher gave it; returns in which channel.

    Raises:
        VerificationFailed: nobody who is trusted gave it that tag.
    """
    given = found.release.of_tag(tag) if found.release else None
    if given is None:
        raise VerificationFailed(
            f"{found.image.reference} was never given the tag {tag} by its publisher: someone "
            "moved the tag, or an older version of this program published it (publish it again); "
            "do not use it"
        )
    return given


def check_not_before(found: Verified, given: InChannel | None, earliest: datetime.datetime) -> None:
    """Refuse an image that its publisher gave its tag to before a date.

    Raises:
        VerificationFailed: it is older.
    """
    date = given.date if given else datetime.datetime.fromisoformat(found.evidence.date)
    if date < earliest:
        what = "was given that tag" if given else "was tested"
        raise VerificationFailed(
            f"{found.image.reference} {what} on {date.isoformat(timespec='seconds')}, before "
            f"{earliest.isoformat(timespec='seconds')}: someone may have moved the tag back; ask "
            "the publisher, or name an earlier date"
        )


def _name(image: PublishedImage) -> str:
    return image.reference.partition("@")[0].rpartition("/")[2]


def _label(image: PublishedImage, name: str) -> str:
    return image.labels.get(name) or "(none)"
