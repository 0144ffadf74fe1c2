"""Asks a registry whether anything is attached to an image, before cosign is started to verify it.

cosign keeps what it attaches to an image beside it, under a tag that is made of its digest. Where
there is no such tag, cosign finds nothing either. A registry that says so falsely hides what it
has, as one does that deletes it: it is attached again, and nothing counts that does not verify.
"""

from __future__ import annotations

import enum

from rocm_images.registry.client import Repository
from rocm_images.registry.cosign import Cosign


class Attachment(str, enum.Enum):
    """How the tag ends of what is attached."""

    # https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md#tag-based-discovery
    SIGNATURES = "sig"
    STATEMENTS = "att"


def may_have(repository: Repository, cosign: Cosign, digest: str, what: Attachment) -> bool:
    """Whether something of that kind may be attached to an image: one request.

    Raises:
        RegistryError: the registry does not answer, or has something else than a manifest there.
    """
    if cosign.keeps_elsewhere:
        return True
    return repository.manifest(f"{digest.replace(':', '-')}.{what.value}") is not None
