"""Which catalogue a verb goes by: one that a user names, verified, or the one of this folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rocm_images.errors import InputError
from rocm_images.places import STATE

if TYPE_CHECKING:
    from rocm_images.catalogue.schema import Catalogue
    from rocm_images.catalogue.signed import Signed

CATALOGUE = STATE / "catalogue.json"
unverified_option = click.option(
    "--unverified", is_flag=True, help="Take a file that is named at its word, whoever wrote it."
)


@dataclass(frozen=True)
class Listed:
    """A catalogue that a user named, or the one of this folder."""

    path: Path | None
    who: tuple[str | None, str | None, str | None]
    """--key, --identity and --issuer."""
    unverified: bool

    def read(self) -> Catalogue:
        """The catalogue.

        Raises:
            InputError: it cannot be read, or whose signature counts was not said.
            VerificationFailed: it is not signed by them.
            RegistryError: that cannot be found out.
        """
        from rocm_images.catalogue.file import read

        if self.is_ours or self.unverified:
            return read(self.path or CATALOGUE)
        assert self.path is not None
        return self.verified(self.path)[1]

    @property
    def is_ours(self) -> bool:
        """Whether it is that of this folder: `publish` and `catalogue` verified what they wrote."""
        return self.path is None or self.path.resolve() == CATALOGUE.resolve()

    def verified(self, path: Path) -> tuple[Signed, Catalogue]:
        """What a file and the signature beside it hold; see `read`."""
        from rocm_images.catalogue.file import content_of

        if not path.exists():
            content_of(path)
        if not any(self.who):
            raise InputError(
                f"{path} may be of anybody: say whose catalogue counts, with --key or with "
                "--identity and --issuer; or take it at its word with --unverified"
            )
        from rocm_images.catalogue.signed import signed_file
        from rocm_images.registry.cosign import Cosign
        from rocm_images.registry.trust import trust_of

        trust = trust_of(*self.who)
        found = signed_file(path)
        return found, found.verified(Cosign(None, os.environ), trust, str(path))
