"""The commands that verify a published image before it is run, for people to copy."""

from __future__ import annotations

import shlex

from rocm_images.catalogue.schema import CatalogueEntry
from rocm_images.registry.statements import EVIDENCE
from rocm_images.registry.trust import Trust
from rocm_images.sbom.document import KIND as SBOM

KEY = "cosign.pub"
"""What the publisher's public key is called in these commands."""


def pull_command(image: CatalogueEntry) -> str:
    """Verifies signature and evidence, and pulls; the evidence has to be what the entry claims."""
    words = ("pull", image.reference, "--key", KEY, "--evidence", str(image.tested_on.level))
    return shlex.join(("build.py", *words))


def cosign_commands(image: CatalogueEntry) -> str:
    """The same signatures without this program; what the evidence says is printed, not judged."""
    trusted = Trust(key=KEY).arguments
    signed = ("cosign", "verify", *trusted, image.reference)
    attested = ("cosign", "verify-attestation", *trusted, f"--type={EVIDENCE}", image.reference)
    return " &&\n".join(shlex.join(words) for words in (signed, attested))


def sbom_commands(reference: str) -> tuple[str, str]:
    """What an image by digest holds, verified and written to a file: by us, and by cosign alone."""
    ours = ("build.py", "sbom", reference, "--key", KEY, "--output", "sbom.cdx.json")
    verified = ("cosign", "verify-attestation", *Trust(key=KEY).arguments, f"--type={SBOM}")
    read = "jq -r .payload | base64 -d | jq .predicate > sbom.cdx.json"
    return shlex.join(ours), f"{shlex.join((*verified, reference))} |\n{read}"
