"""Puts images with their signatures into a registry, and moves the rolling tags last.

Nothing goes back in time there: newer statements stay, and so does a tag that its publisher gave
to another image later.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rocm_images.distributing.channel_images import ChannelImage, Wanted
from rocm_images.errors import PublishRefused, RegistryError, VerificationFailed
from rocm_images.publishing.gate import check_stand_in
from rocm_images.publishing.rolling_tags import Move, move_all, moves
from rocm_images.registry.manifest import Manifest
from rocm_images.registry.place import Place
from rocm_images.registry.published import image_at
from rocm_images.registry.sbom import attested_sbom
from rocm_images.registry.trust import Trust
from rocm_images.registry.verified import Verified, verified

_BEGINNING = datetime.datetime.min.replace(tzinfo=datetime.timezone.utc)


@dataclass(frozen=True)
class Arrival:
    """One image on its way, verified where it comes from."""

    what: ChannelImage
    put: Callable[[str], None]
    """Puts the image, with everything attached to it, at a reference in the target registry."""


@dataclass(frozen=True)
class Arrived:
    """What was done: the immutable tags that were new there, and every rolling tag."""

    new: tuple[str, ...]
    planned: tuple[Move, ...]


def arrive(
    place: Place,
    wanted: Wanted,
    images: Sequence[Arrival],
    on_step: Callable[[str], None],
    *,
    tags_were_read: bool,
    dry_run: bool = False,
) -> Arrived:
    """Put what the target lacks, verify all of it there, then move the rolling tags.

    Args:
        place: the target.
        wanted: what the images must be there too.
        images: those on their way.
        on_step: is told of each step.
        tags_were_read: whether their tags stand for them where they come from. Of a file nobody
            knows that: a tag of several cells may have passed on to another, and is left there.
        dry_run: whether nothing is put or moved.

    Raises:
        PublishRefused: an immutable tag is taken, a stand-in would leave this machine, or the
            evidence there is not what the channel asks for.
        VerificationFailed: an image that arrived does not verify, or a tag would go back in time;
            no rolling tag was moved.
        RegistryError: the registry failed; running it again resumes.
    """
    repository = place.repository
    for one in images:
        check_stand_in(one.what.immutable, one.what.image.labels, place.address, None)
    there = {one.what.immutable: repository.digest_of(one.what.immutable) for one in images}
    for one in images:
        tag = one.what.immutable
        if there[tag] not in (None, one.what.image.digest):
            raise PublishRefused(
                f"{repository.reference(tag)} is {there[tag]} and not {one.what.image.digest}: an "
                "immutable tag is never overwritten; find out who published it there"
            )
    arrived = []
    for one in images:
        tag, sent = one.what.immutable, one.what.found
        has = _said(place, wanted.trust, sent.image.digest)
        lacks = one.what.has_sbom and not (has and _has_sbom(place, wanted.trust, has))
        # What was only pushed there has no tags to keep: a release comes with what is sent.
        if has is not None and has.release and _is_newer(has, sent):
            but = "; an SBOM is not among it, and one is where this comes from" if lacks else ""
            on_step(f"note: {repository} keeps what is signed of {tag}, which is newer there{but}")
            sent, lacks = has, False
        if dry_run:
            arrived.append(_as_signed(one.what, sent))
            continue
        if has is None or lacks or _signed(has) != _signed(sent):
            on_step(f"copy {tag}: {one.what.image.extent}")
            one.put(repository.reference(tag))
        elif there[tag] is None:
            repository.put_tag(tag, one.what.image.top)
        on_step(f"verify {tag}")
        arrived.append(_arrived(place, wanted, one.what, sent, needs_sbom=lacks))
    rolling = _rolling(place, wanted.trust, arrived, on_step, tags_were_read)
    planned = moves(repository, rolling)
    if not dry_run:
        move_all(repository, planned)
    return Arrived(tuple(tag for tag, digest in there.items() if digest is None), tuple(planned))


def _arrived(
    place: Place, wanted: Wanted, what: ChannelImage, sent: Verified, *, needs_sbom: bool
) -> ChannelImage:
    """The image as it is there, verified, with those of its tags that it still has."""
    found = image_at(place.repository, what.immutable)
    if found is None or found.digest != what.image.digest:
        raise RegistryError(
            f"{place.repository.reference(what.immutable)} did not arrive as {what.image.digest}: "
            "run this again"
        )
    now = wanted.look(place.cosign, found)
    if _signed(now.found) != _signed(sent) or (needs_sbom and not now.has_sbom):
        raise VerificationFailed(
            f"{found.reference}: what its publisher says of it did not arrive as it was sent: "
            "somebody else writes there; no rolling tag was moved"
        )
    return _as_signed(what, now.found)


def _as_signed(what: ChannelImage, found: Verified) -> ChannelImage:
    """The image with what is signed of it elsewhere, and those of its tags that this leaves it."""
    release = found.release
    assert release is not None
    here = release.channels.get(what.channel)
    rolling = tuple(tag for tag in what.rolling if here and tag in here.tags)
    return replace(what, found=found, release=release, rolling=rolling)


def _rolling(
    place: Place,
    trust: Trust,
    arrived: Sequence[ChannelImage],
    on_step: Callable[[str], None],
    tags_were_read: bool,
) -> dict[str, Manifest]:
    """Where each rolling tag is to be: at the image that its publisher gave it to last."""
    claims: dict[str, ChannelImage] = {}
    for one in arrived:
        for tag in one.rolling:
            if tag not in claims or one.given(tag) > claims[tag].given(tag):
                claims[tag] = one
    wanted = {}
    for tag, one in claims.items():
        there = place.repository.digest_of(tag)
        holder = None if there in (None, one.image.digest) else _said(place, trust, str(there))
        release = holder.release if holder else None
        has = release.of_tag(tag) if release else None
        if release is None or has is None or has.date <= one.given(tag):
            wanted[tag] = one.image.top
            continue
        name = place.repository.reference(tag)
        dates = (
            f"its publisher gave that tag to {release.immutable} on {has.date.isoformat()}, and to "
            f"{one.immutable} on {one.given(tag).isoformat()}"
        )
        if release.cell != one.release.cell and not tags_were_read:
            on_step(f"note: {name} stays where it is: {dates}")
            continue
        raise VerificationFailed(
            f"{name} would go back in time: {dates}; what this comes from is old, or someone moved "
            "the tag back there; no rolling tag was moved. To go back knowingly: `build.py "
            f"rollback --registry {place.address} --channel {one.channel} --to {one.immutable}`, "
            "with the public key"
        )
    return wanted


def _said(place: Place, trust: Trust, digest: str) -> Verified | None:
    """What is signed of an image there; None where there is none or it does not verify."""
    try:
        found = image_at(place.repository, digest)
        return verified(place.cosign, found, trust) if found else None
    except VerificationFailed:
        return None


def _has_sbom(place: Place, trust: Trust, there: Verified) -> bool:
    """Whether what an image holds is attested there; nothing dates an SBOM, so any will do."""
    try:
        return attested_sbom(place.cosign, there.image, trust) is not None
    except VerificationFailed:
        return False


def _signed(what: Verified) -> tuple[object, object]:
    return what.release, what.evidence


def _is_newer(one: Verified, other: Verified) -> bool:
    """Whether anything that is signed of an image is newer here than there."""
    if one.evidence.date > other.evidence.date:
        return True
    first, second = ((what.release and what.release.latest) or _BEGINNING for what in (one, other))
    return first > second
