"""Where a verb of publishing writes or reads, who signs, and whose signatures count."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rocm_images.engine.network import ca_bundle_for
from rocm_images.errors import InputError
from rocm_images.registry.trust import Signer, Trust, is_private, trust_of

if TYPE_CHECKING:
    from rocm_images.registry.address import RegistryAddress
    from rocm_images.registry.client import Repository
    from rocm_images.registry.cosign import Cosign


@dataclass(frozen=True)
class Who:
    """Whose signatures count, and who signs; as they were named, before anything was asked."""

    key: str | None = None
    keyless: bool = False
    identity: str | None = None
    issuer: str | None = None

    @property
    def is_named(self) -> bool:
        """Whether anybody was."""
        return bool(self.key or self.keyless or self.identity or self.issuer)

    @property
    def signer(self) -> Signer | None:
        """Who signs; None where a public key or an identity was named, which only verify.

        Raises:
            InputError: a key and an identity were named, or the key's file cannot be read.
        """
        if self.key and (self.keyless or self.identity or self.issuer):
            raise InputError("name either --key, or --keyless with --identity and --issuer")
        if self.keyless:
            return Signer(None)
        return Signer(self.key) if self.key and is_private(self.key) else None

    def must_sign(self) -> Signer:
        """Who signs.

        Raises:
            InputError: nobody who can was named.
        """
        found = self.signer
        if found is None:
            raise InputError(
                "say who signs: --key FILE with a private key (make one with `cosign "
                "generate-key-pair`), or --keyless in a CI that has an identity"
            )
        return found

    def trust(self, cosign: Cosign, folder: Path) -> Trust:
        """Whose signatures count: the signer's own too. Of a private key, `folder` gets the public.

        Raises:
            InputError: nobody was named, or the key cannot be used.
        """
        signer = self.signer
        if signer and signer.key:
            return cosign.public_key(signer, folder)
        return trust_of(self.key, self.identity, self.issuer)


@dataclass(frozen=True)
class Place:
    """The repository that a verb works on, and cosign for it."""

    repository: Repository
    cosign: Cosign

    @property
    def address(self) -> RegistryAddress:
        """The registry."""
        return self.repository.address


def place_of(
    repository: str,
    registry: RegistryAddress | None,
    ca_bundle: Path | None,
    attempts: int,
    environment: Mapping[str, str],
) -> Place:
    """What the options of `where_options` amount to.

    Raises:
        InputError: no registry was named, or the CA bundle cannot be used.
        EngineError: cosign is missing.
    """
    # `build` names who counts, and mostly asks no registry.
    from rocm_images.registry.client import Repository
    from rocm_images.registry.cosign import Cosign
    from rocm_images.registry.retries import Retries

    if registry is None:
        raise InputError("name the registry with --registry, or set ROCM_IMAGES_REGISTRY")
    trusted = ca_bundle_for(ca_bundle, os.environ)
    there = Repository(registry, repository, trusted, Retries(attempts))
    return Place(there, Cosign(registry, environment, trusted))
