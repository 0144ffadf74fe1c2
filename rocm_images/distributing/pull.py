"""Pulls an image that verifies, and nothing else."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

from rocm_images.engine.connect import Engine
from rocm_images.engine.images import BUILD_ID, pull
from rocm_images.errors import InputError, RegistryError, VerificationFailed
from rocm_images.references import ImageName
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.place import Place
from rocm_images.registry.published import image_at
from rocm_images.registry.statements import InChannel
from rocm_images.registry.trust import Trust
from rocm_images.registry.verified import (
    Verified,
    check_immutable_tag,
    check_not_before,
    check_rolling_tag,
    is_immutable,
    verified,
)
from rocm_images.smoke.evidence import Level


@dataclass(frozen=True)
class Reference:
    """An image in a registry, by tag, digest or both."""

    address: RegistryAddress
    name: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """The reference that a user wrote.

        Raises:
            InputError: it names no registry, or neither a tag nor a digest.
        """
        scheme, plain = re.fullmatch(r"(https?://)?(.*)", text, re.DOTALL).groups("")  # type: ignore[union-attr]
        image = ImageName.parse(plain)
        if not (image and image.host):
            raise InputError(
                f"{text!r} names no image in a registry: write HOST/NAME:TAG or "
                "HOST/NAME@sha256:..."
            )
        if not (image.tag or image.digest):
            raise InputError(f"{text!r} has neither tag nor digest: write HOST/NAME:TAG")
        where, _, name = image.repository.rpartition("/")
        return cls(RegistryAddress.parse(scheme + where), name, image.tag, image.digest)


@dataclass(frozen=True)
class Asked:
    """What an image must be, beside signed."""

    evidence: Level
    """What it was tested on at least."""
    not_before: datetime.datetime | None = None
    """When its publisher gave it its tag at the earliest."""


def verify(
    place: Place, trust: Trust, reference: Reference, asked: Asked
) -> tuple[Verified, InChannel | None]:
    """Verify an image by what its registry has; also when its publisher gave it that tag.

    Raises:
        InputError: the registry has no such image.
        VerificationFailed: its signature, evidence, tag or digest is not what it must be.
        RegistryError: the registry does not answer.
    """
    name = reference.digest or reference.tag
    assert name is not None
    image = image_at(place.repository, name)
    if image is None:
        raise InputError(f"{place.repository.reference(name)}: the registry has no such image")
    found = verified(place.cosign, image, trust)
    given = None
    if reference.tag and is_immutable(reference.tag):
        check_immutable_tag(image, reference.tag)
        given = found.release.of_tag(reference.tag) if found.release else None
    elif reference.tag:
        given = check_rolling_tag(found, reference.tag)
    if asked.not_before:
        check_not_before(found, given, asked.not_before)
    if not found.evidence.passed:
        raise VerificationFailed(
            f"{image.reference}: its evidence says that it failed its smoke test: do not use it"
        )
    if not found.evidence.level.reaches(asked.evidence):
        raise VerificationFailed(
            f"{image.reference}: it was tested at level {found.evidence.level}, and "
            f"{asked.evidence} is asked for: choose an image of another channel, or ask for less "
            "with --evidence"
        )
    return found, given


def pull_verified(engine: Engine, what: Verified, reference: Reference) -> str:
    """Pull what was verified, by its digest; returns the engine's id of it.

    The image also gets the tag that was asked for.

    Raises:
        VerificationFailed: what arrived is something else.
        RegistryError: it cannot be pulled.
    """
    image = what.image
    try:
        found = pull(engine, image.reference, image.labels.get(BUILD_ID, ""))
    except RegistryError as error:
        if re.search(r"digest|checksum|unexpected (end|size)|does not match", str(error)):
            raise VerificationFailed(
                f"{image.reference}: a part of it is not what its digest says ({error}): it was "
                "altered or damaged in the registry; do not use it, and publish it again"
            ) from None
        raise
    if found.image_id not in image.ids:
        raise VerificationFailed(
            f"{image.reference}: the engine has it as {found.image_id}, which is not what was "
            "verified: do not use it"
        )
    if reference.tag:
        client = engine.client()
        try:
            name = reference.address.named(reference.name)
            client.images.get(found.image_id).tag(name, reference.tag)
        finally:
            client.close()
    return found.image_id
