"""The bill of each image that is to be published: from here, made now, or as it is attested."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rocm_images.engine.connect import Engine
from rocm_images.errors import PublishRefused
from rocm_images.publishing.candidates import Candidate, Rules
from rocm_images.registry.published import PublishedImage
from rocm_images.registry.sbom import attested_sbom
from rocm_images.registry.trust import Signer
from rocm_images.sbom.document import size_of
from rocm_images.sbom.made import keep_sbom, sbom_of

MOST_KEYLESS = 2 * 1024 * 1024
"""Bytes: a signature without a key puts the whole of what it signs into a public log.

The public one refused 3.5 MB: https://github.com/sigstore/cosign/issues/3599
"""


def sbom_for(rules: Rules, engine: Engine | None, one: Candidate, image: PublishedImage) -> Path:
    """The file with the bill of an image that the registry has by now.

    Raises:
        PublishRefused: only the registry has the image, and no bill of it.
        VerificationFailed: what is attested of it as its bill is of another image.
        EngineError: it cannot be made.
        RegistryError: the registry does not answer.
    """
    if one.on_engine is not None:
        return sbom_of(engine, one.on_engine.image_id, rules.evidence_folder)
    assert rules.trust is not None
    found = attested_sbom(rules.cosign, image, rules.trust)
    if found is None:
        raise PublishRefused(
            f"{one.cell.name}: {image.reference} has no bill of materials (SBOM), and the engine "
            f"has no such image that one could be made of: run `python build.py {one.cell.words} "
            "--pull-existing`, then publish again"
        )
    return keep_sbom(rules.evidence_folder, found.image_id, found.document)


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
