"""Where a verb of publishing writes or reads, who signs, and whose signatures count."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rocm_images.engine.network import ca_bundle_for
from rocm_images.errors import InputError
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository, Retries
from rocm_images.registry.cosign import Cosign, Signer, Trust, check_key, trust_of


def signer_of(key: str | None, *, keyless: bool) -> Signer:
    """Who signs.

    Raises:
        InputError: neither or both were named, or the key's file cannot be read.
    """
    if bool(key) == keyless:
        raise InputError(
            "say who signs: --key FILE (make one with `cosign generate-key-pair`), or --keyless "
            "in a CI that has an identity"
        )
    if key:
        check_key(key)
    return Signer(key)


def identity_trust(identity: str | None, issuer: str | None) -> Trust | None:
    """Trust in an identity, where one was named.

    Raises:
        InputError: only one of the two was named.
    """
    return trust_of(None, identity, issuer) if identity or issuer else None


@dataclass(frozen=True)
class Target:
    """The repository that a verb works on, and cosign for it."""

    repository: Repository
    cosign: Cosign

    @property
    def address(self) -> RegistryAddress:
        """The registry."""
        return self.repository.address


def target_of(
    repository: str,
    registry: RegistryAddress | None,
    ca_bundle: Path | None,
    attempts: int,
    environment: Mapping[str, str],
) -> Target:
    """What the options of `where_options` amount to.

    Raises:
        InputError: no registry was named, or the CA bundle cannot be used.
        EngineError: cosign is missing.
    """
    if registry is None:
        raise InputError("name the registry with --registry, or set ROCM_IMAGES_REGISTRY")
    trusted = ca_bundle_for(ca_bundle, os.environ)
    there = Repository(registry, repository, trusted, Retries(attempts))
    return Target(there, Cosign(registry, environment, trusted))
