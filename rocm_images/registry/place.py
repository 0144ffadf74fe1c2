"""Where a verb of publishing writes or reads, who signs, and whose signatures count."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rocm_images.engine.network import ca_bundle_for
from rocm_images.errors import InputError
from rocm_images.registry.trust import Signer, Trust, is_private, key_text, trust_of

if TYPE_CHECKING:
    from rocm_images.registry.address import RegistryAddress
    from rocm_images.registry.client import Repository
    from rocm_images.registry.cosign import Cosign


@dataclass(frozen=True)
class Who:
    """Whose signatures count, and who signs; as they were named, before anything was asked."""

    sign_key: str | None = None
    keyless: bool = False
    key: str | None = None
    identity: str | None = None
    issuer: str | None = None

    @property
    def is_named(self) -> bool:
        """Whether anybody was."""
        return any((self.sign_key, self.keyless, self.key, self.identity, self.issuer))

    @property
    def signer(self) -> Signer | None:
        """Who signs; None where only those were named whose signatures count.

        Raises:
            InputError: a key and an identity were named, or the key cannot sign or be read.
        """
        if self.keyless and (self.sign_key or self.key):
            raise InputError("name either --sign-key, or --keyless with --identity and --issuer")
        if self.sign_key and (self.identity or self.issuer):
            raise InputError(
                "what --sign-key signs counts by that key: leave out --identity and --issuer"
            )
        if self.keyless:
            return Signer(None)
        if not self.sign_key:
            return None
        if not is_private(self.sign_key, "--sign-key"):
            raise InputError(
                f"--sign-key: {self.sign_key} is a public key, which cannot sign: name the "
                "private one, cosign.key"
            )
        return Signer(self.sign_key)

    def must_sign(self) -> Signer:
        """Who signs.

        Raises:
            InputError: nobody who can was named.
        """
        found = self.signer
        if found is None:
            if self.key and "://" not in self.key and is_private(self.key):
                raise InputError(
                    f"--key: {self.key} is a private key: to sign with it, name it with --sign-key"
                )
            raise InputError(
                "say who signs: --sign-key FILE with a private key (make one with `cosign "
                "generate-key-pair`), or --keyless in a CI that has an identity; what "
                "is typed replaces ROCM_IMAGES_SIGNING_KEY"
            )
        return found

    def check(self) -> None:
        """Say what `trust` would have to refuse, as far as that is seen without cosign.

        Raises:
            InputError: nobody was named, a key cannot be used or read, or --key is an address that
                cannot be compared with --sign-key.
        """
        signer = self.signer
        if signer is None or signer.key is None:
            trust_of(self.key, self.identity, self.issuer)
        elif self.key and "://" not in self.key:
            key_text(self.key)
        elif self.key and self.key != signer.key:
            # cosign verifies with what it cannot show, as a key that it fetches.
            raise InputError(
                f"--key: {self.key} cannot be compared with --sign-key {self.sign_key}, by "
                "which counts what is signed now: leave it out, or name the public key's file"
            )

    def trust(self, cosign: Cosign, folder: Path) -> Trust:
        """Whose signatures count: with a private key its holder's, and `folder` gets the public.

        Raises:
            InputError: see `check`, or --key is not that of --sign-key.
        """
        self.check()
        signer = self.signer
        if signer and signer.key:
            own = cosign.public_key(signer, folder)
            if self.key and "://" not in self.key and own.key and not _same(own.key, self.key):
                raise InputError(
                    f"--key: {self.key} is not the public key of --sign-key {self.sign_key}: what "
                    "is signed now would not count; leave it out, or name the pair"
                )
            return own
        return trust_of(self.key, self.identity, self.issuer)


def _same(one: str, other: str) -> bool:
    """Whether two files hold the same key.

    Raises:
        InputError: the other cannot be read.
    """
    return key_text(one).split() == key_text(other).split()


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
