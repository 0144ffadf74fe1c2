"""The bill of each image that is to be published: as it is attested, from here, or made now.

Each is read once: what a scanner is asked about, what is attested and what the files say of it is
one document, whatever becomes of a file meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rocm_images.engine.connect import Engine
from rocm_images.errors import PublishRefused
from rocm_images.pool import Threads
from rocm_images.publishing.attesting import stated
from rocm_images.publishing.candidates import AT_ONCE, Candidate, Rules
from rocm_images.registry.attached import Attachment, may_have
from rocm_images.registry.published import PublishedImage
from rocm_images.registry.sbom import Attested, sbom_among
from rocm_images.registry.trust import Signer
from rocm_images.sbom.document import KIND, size_of
from rocm_images.sbom.made import keep_sbom, read_sbom, sbom_of, sbom_path

MOST_KEYLESS = 2 * 1024 * 1024
"""Bytes: a signature without a key puts the whole of what it signs into a public log.

The public one refused 3.5 MB: https://github.com/sigstore/cosign/issues/3599
"""


@dataclass(frozen=True)
class Sbom:
    """The bill of one image."""

    document: Mapping[str, Any]
    other: Path | None = None
    """A file here that says the image holds something else, which nobody is asked about."""


def attested_of(rules: Rules, images: Sequence[PublishedImage | None]) -> list[Attested | None]:
    """The bill of each image that those who are trusted attested; None where there is none.

    An image that the registry does not have, which is None, has none.

    Raises:
        VerificationFailed: what is attested of one as its bill is of another image.
        RegistryError: the registry does not answer.
    """
    trust = rules.trust
    if trust is None:
        return [None] * len(images)

    def has(image: PublishedImage | None) -> bool:
        return image is not None and may_have(
            rules.repository, rules.cosign, image.digest, Attachment.STATEMENTS
        )

    with Threads(AT_ONCE) as pool:
        having = list(pool.map(has, images))
    asked = [image.reference for image, may in zip(images, having, strict=True) if image and may]
    said = stated(rules.cosign, trust, asked, (KIND,))
    return [
        sbom_among(said[image.reference][KIND], image) if image and may else None
        for image, may in zip(images, having, strict=True)
    ]


def sbom_for(
    rules: Rules,
    engine: Engine | None,
    one: Candidate,
    image: PublishedImage | None,
    attested: Attested | None,
) -> Sbom:
    """The bill of an image that is to be published.

    What is attested counts, and stays; where nothing is, a file that lies here does, and where
    there is none either, one is made.

    Args:
        rules: where files lie.
        engine: makes it.
        one: which image.
        image: the same as the registry has it; None where it is still to be pushed.
        attested: see `attested_of`.

    Raises:
        PublishRefused: there is no bill of it, and the engine does not have this very image.
        EngineError: it cannot be made.
        InputError: the file cannot be written.
    """
    if image is not None and attested is not None:
        return _beside(rules.evidence_folder, image, attested)
    if one.on_engine is not None:
        image_id = one.on_engine.image_id
        if image is not None and image_id not in image.ids:
            raise PublishRefused(
                f"{one.cell.name}: {image.reference} is not the engine's {image_id}, of which a "
                "bill of materials (SBOM) can be made: nothing was signed; remove the engine's "
                f"image, get that one by `python build.py {one.cell.words} --registry "
                f"{rules.repository.address} --pull-existing`, then publish again"
            )
        return Sbom(sbom_of(engine, image_id, rules.evidence_folder))
    # What neither has is no candidate.
    assert image is not None
    raise PublishRefused(
        f"{one.cell.name}: {image.reference} has no bill of materials (SBOM), and the engine "
        f"has no such image that one could be made of: run `python build.py {one.cell.words} "
        f"--registry {rules.repository.address} --pull-existing` where it can be tested as the "
        f"channel {rules.channel_name} requires, then publish again there; nothing was signed"
    )


def _beside(folder: Path, image: PublishedImage, attested: Attested) -> Sbom:
    """What is attested, kept here where no file is, and held against one that is."""
    paths = [sbom_path(folder, image_id) for image_id in sorted(image.ids)]
    kept = {path: found for path in paths if (found := read_sbom(path, image.ids)) is not None}
    if not kept:
        keep_sbom(folder, attested.image_id, attested.document)
    # Of what it is may differ: an engine with the other image store has another id for the image.
    held = attested.document.get("components")
    other = next((path for path, found in kept.items() if found.get("components") != held), None)
    return Sbom(attested.document, other)


def check_size(one: Candidate, document: Mapping[str, Any], signer: Signer) -> None:
    """Refuse what a public log would not take, before anything is signed.

    Raises:
        PublishRefused: it is larger, and there is no key.
    """
    size = size_of(document)
    if signer.key is None and size > MOST_KEYLESS:
        raise PublishRefused(
            f"{one.cell.name}: its bill of materials (SBOM) has {size / 1e6:.1f} MB, and without a "
            f"key at most {MOST_KEYLESS / 1e6:.1f} MB can be signed, because all of it goes into "
            "the public transparency log: sign with a key (--sign-key); nothing was signed"
        )
