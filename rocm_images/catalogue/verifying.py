"""The commands that verify a published image before it is run, for people to copy."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from rocm_images.catalogue.schema import CatalogueEntry
from rocm_images.errors import InputError
from rocm_images.registry.statements import EVIDENCE
from rocm_images.registry.trust import Trust, key_text
from rocm_images.sbom.document import KIND as SBOM

PROGRAM = "rocm-images"
"""This program where it is installed, as readers of the page have it."""
KEY = "cosign.pub"
"""What the publisher's public key is called in these commands, where nobody named it."""
_BEGIN_PUBLIC = "-----BEGIN PUBLIC KEY-----"


@dataclass(frozen=True)
class Publisher:
    """Who signed, as a reader's commands name it."""

    trust: Trust
    key_text: str = ""
    """The public key, to compare with the one that a reader has; "" where there is none to show."""

    @property
    def words(self) -> tuple[str, ...]:
        """The options of this program that name it."""
        if self.trust.key:
            return ("--key", self.trust.key)
        return ("--identity", self.trust.identity or "", "--issuer", self.trust.issuer or "")


UNNAMED = Publisher(Trust(key=KEY))


def publisher_of(trust: Trust | None) -> Publisher:
    """Who signed what a page shows: a key by the name of its file, a KMS's or a CI's as it is."""
    if trust is None or not trust.key:
        return UNNAMED if trust is None else Publisher(trust)
    if "://" in trust.key:
        return Publisher(trust)
    try:
        text = key_text(trust.key).decode(errors="replace").strip()
    except InputError:  # it was there when it verified, and is needed for no command
        text = ""
    public = text if text.startswith(_BEGIN_PUBLIC) else ""
    return Publisher(Trust(key=Path(trust.key).name), public)


def pull_command(image: CatalogueEntry, publisher: Publisher = UNNAMED) -> str:
    """Verifies signature and evidence, and pulls; the evidence has to be what the entry claims."""
    level = str(image.tested_on.level)
    words = ("pull", image.reference, *publisher.words, "--evidence", level)
    return shlex.join((PROGRAM, *words))


def cosign_commands(image: CatalogueEntry, publisher: Publisher = UNNAMED) -> str:
    """The same signatures without this program; what the evidence says is printed, not judged."""
    trusted = publisher.trust.arguments
    signed = ("cosign", "verify", *trusted, image.reference)
    attested = ("cosign", "verify-attestation", *trusted, f"--type={EVIDENCE}", image.reference)
    return " &&\n".join(shlex.join(words) for words in (signed, attested))


def sbom_commands(reference: str, publisher: Publisher = UNNAMED) -> tuple[str, str]:
    """What an image by digest holds, verified and written to a file: by us, and by cosign alone."""
    ours = (PROGRAM, "sbom", reference, *publisher.words, "--output", "sbom.cdx.json")
    verified = ("cosign", "verify-attestation", *publisher.trust.arguments, f"--type={SBOM}")
    read = "jq -r .payload | base64 -d | jq .predicate > sbom.cdx.json"
    return shlex.join(ours), f"{shlex.join((*verified, reference))} |\n{read}"
