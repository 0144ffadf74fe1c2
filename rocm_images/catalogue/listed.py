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
    is_asked: bool = False
    """Whether one of them was typed: then its signature counts, also of the one of this folder."""

    def read(self) -> Catalogue:
        """The catalogue.

        Raises:
            InputError: it cannot be read, or whose signature counts was not said.
            VerificationFailed: it is not signed by them.
            RegistryError: that cannot be found out.
        """
        from rocm_images.catalogue.file import read

        path = self.path or CATALOGUE
        if self.is_asked and self.is_ours and path.exists():
            self._check_signature_lies_beside(path)
        elif self.unverified or (self.is_ours and not self.is_asked):
            return read(path)
        return self.verified(path)[1]

    @property
    def is_ours(self) -> bool:
        """Whether it is that of this folder: `publish` and `catalogue` verified what they wrote."""
        return self.path is None or self.path.resolve() == CATALOGUE.resolve()

    def _check_signature_lies_beside(self, path: Path) -> None:
        from rocm_images.catalogue.signed import SIGNATURE

        if not path.with_name(SIGNATURE).exists():
            raise InputError(
                f"{path} has no {SIGNATURE} beside it, as a list of a mirror or of several "
                "repositories has none: leave out --key, --identity and --issuer, and what "
                "`catalogue` verified before it wrote the list counts"
            )

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
