"""Reads the bill of materials that is attested of a published image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rocm_images.errors import VerificationFailed
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.published import PublishedImage
from rocm_images.registry.trust import Trust
from rocm_images.sbom.document import KIND, Bill


@dataclass(frozen=True)
class Attested:
    """A bill, and the id by which it knows its image."""

    image_id: str
    document: Mapping[str, Any]


def attested_sbom(
    cosign: Cosign, image: PublishedImage, trust: Trust, *, layout: Path | None = None
) -> Attested | None:
    """The bill that those who are trusted attested of an image; None where there is none.

    `layout` is an OCI layout of the image, which is then read in the place of its registry.

    Raises:
        VerificationFailed: it is of another image, or cannot be read.
        RegistryError: the registry does not answer.
    """
    try:
        said = cosign.statements(image.reference, KIND, trust, layout=layout)
    except VerificationFailed:
        return None
    return sbom_among(said, image)


def sbom_among(predicates: Iterable[Any], image: PublishedImage) -> Attested | None:
    """The bill of an image among what is attested of it; None where nothing is.

    Raises:
        VerificationFailed: there are only such as are of another image, or cannot be read.
    """
    wrong = ""
    for one in predicates:
        try:
            image_id = Bill.of_document(one).image_id
        except ValueError as error:
            wrong = wrong or f"it cannot be read ({error})"
            continue
        if image_id in image.ids:
            return Attested(image_id, one)
        wrong = f"it is of another image, {image_id[:100]!a}"
    if wrong:
        raise VerificationFailed(
            f"{image.reference}: the bill of materials (SBOM) that is signed for it says nothing "
            f"of what it holds: {wrong}; do not use it, and ask the publisher"
        )
    return None
