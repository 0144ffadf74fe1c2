"""The build steps that a registry keeps: signed by who built them, and taken from nobody else.

Whoever can push there could put a layer of theirs in the place of a step's, and the image would
have the build id of ours. So a build takes only caches that are signed, each by its digest.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rocm_images import telling
from rocm_images.engine.build_cache import BuildCache
from rocm_images.errors import InputError, RegistryError, VerificationFailed
from rocm_images.plan.cells import Cell
from rocm_images.pool import Threads
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.trust import Signer, Trust

_REPOSITORY = re.compile(r"[^/]+(/[a-z0-9._-]+)+")
_AT_ONCE = 4


def checked(repository: str) -> str:
    """The repository of a cache that a user named.

    Raises:
        InputError: it is none.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise InputError(
            f"--cache {repository!r} is no repository: write HOST[:PORT]/PATH, in lower case and "
            "without a tag, for example registry.example.org/sglang-rocm-cache"
        )
    RegistryAddress.parse(repository)
    return repository


@dataclass(frozen=True)
class StepCache:
    """The caches of cells in one repository, a tag for each cell.

    Two builds that end at once would overwrite a tag that they shared, so each cell has its own;
    what no arch changes is found under the other cells of the same base.
    """

    repository: Repository
    cosign: Cosign
    trust: Trust
    signer: Signer | None
    """Who signs what a build leaves; None: it leaves nothing."""

    def caches(self, wanted: Sequence[Cell], cells: Sequence[Cell]) -> dict[str, BuildCache]:
        """The cache of each wanted cell, by its name, made of those that are signed."""
        bases = {cell.rocm for cell in wanted}
        near = [cell for cell in cells if cell.rocm in bases]
        with Threads(_AT_ONCE) as pool:
            found = dict(zip((one.name for one in near), pool.map(self._signed, near), strict=True))
        return {
            cell.name: BuildCache(
                # Its own first.
                [
                    reference
                    for other in (cell, *(one for one in near if one.name != cell.name))
                    if other.rocm == cell.rocm and (reference := found[other.name])
                ],
                self.repository.reference(cell.name) if self.signer else None,
            )
            for cell in wanted
        }

    def sign(self, cell: str, digest: str) -> None:
        """Sign what the build of a cell left there. A cache that cannot be signed is not used."""
        assert self.signer is not None
        try:
            self.cosign.sign(self.repository.reference(digest), self.signer)
        except RegistryError as error:
            telling.failure(f"the build cache of {cell} stays unsigned, and unused: {error}")

    def _signed(self, cell: Cell) -> str | None:
        """The cache of a cell by its digest, where it is signed; what is wrong is said."""
        try:
            manifest = self.repository.manifest(cell.name)
            if manifest is None:
                return None
            reference = self.repository.reference(manifest.digest)
            self.cosign.verify(reference, self.trust)
            return reference
        except (RegistryError, VerificationFailed) as error:
            telling.failure(f"the build cache of {cell.name} is not used: {error}")
            return None
