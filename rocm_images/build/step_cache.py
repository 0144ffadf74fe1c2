"""The build steps and compiled units that a registry keeps: signed, and taken from nobody else.

Whoever can push there could put a layer of theirs in the place of a step's, and the image would
have the build id of ours. So a build takes only caches that are signed, each by its digest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from rocm_images import telling
from rocm_images.engine.build_cache import BuildCache
from rocm_images.engine.compiled_units import LARGEST_UNITS, UnitBuilds
from rocm_images.errors import InputError, RegistryError, RocmImagesError, VerificationFailed
from rocm_images.plan.cells import Cell
from rocm_images.pool import Threads
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.cosign import Cosign
from rocm_images.registry.trust import Signer, Trust

_REPOSITORY = re.compile(r"[^/]+(/[a-z0-9._-]+)+")
_AT_ONCE = 4
_UNITS = "-units"
_CCACHE = "ccache"
"""The download without which a recipe compiles without it."""


def checked(repository: str) -> str:
    """The repository of a cache that a user named.

    Raises:
        InputError: it is none.
    """
    if not _REPOSITORY.fullmatch(repository):
        raise InputError(
            f"--cache {repository!r} is no repository: write HOST[:PORT]/PATH, in lower case and "
            "without a tag, for example registry.example.org/rocm-serving-cache"
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
    units: bool = True
    """Whether compiled units are taken and kept beside the steps."""

    def caches(
        self, wanted: Sequence[Cell], cells: Sequence[Cell], unkept: Collection[str] = ()
    ) -> dict[str, BuildCache]:
        """The cache of each wanted cell, by its name, made of those that are signed.

        Args:
            wanted: those to build.
            cells: all of the matrix.
            unkept: the names of those whose units are taken, but not kept.
        """
        bases = {cell.rocm for cell in wanted}
        near = [cell for cell in cells if cell.rocm in bases]
        compiling = [cell for cell in wanted if self.units and _CCACHE in cell.downloads]
        tags = [cell.name for cell in near] + [_units(cell.name) for cell in compiling]
        with Threads(_AT_ONCE) as pool:
            found = dict(zip(tags, pool.map(self._signed, tags), strict=True))
        return {
            cell.name: BuildCache(
                # Its own first.
                [
                    reference
                    for other in (cell, *(one for one in near if one.name != cell.name))
                    if other.rocm == cell.rocm and (reference := found[other.name])
                ],
                self.repository.reference(cell.name) if self.signer else None,
                found.get(_units(cell.name)),
                self.repository.reference(_units(cell.name))
                if self.signer and cell in compiling and cell.name not in unkept
                else None,
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

    def _signed(self, tag: str) -> str | None:
        """What a tag stands for, by its digest, where it is signed; what is wrong is said."""
        try:
            manifest = self.repository.manifest(tag)
            if manifest is None:
                return None
            size = sum(layer["size"] for layer in manifest.document.get("layers", ()))
            if tag.endswith(_UNITS) and size > LARGEST_UNITS:
                raise RegistryError(f"it has {size >> 30} GiB, and {LARGEST_UNITS >> 30} are taken")
            reference = self.repository.reference(manifest.digest)
            self.cosign.verify(reference, self.trust)
            return reference
        except (RegistryError, VerificationFailed) as error:
            telling.failure(f"the build cache of {tag} is not used: {error}")
            return None


def take_units(builds: UnitBuilds, cache: BuildCache, cell: str) -> None:
    """Take the units of a cell, where there are some; that they cannot be taken fails no build."""
    if cache.units:
        try:
            builds.take(cache.units)
        except RocmImagesError as error:
            telling.failure(f"the compiled units of {cell} are not used: {error}")


def keep_units(
    builds: UnitBuilds, cache: BuildCache, cell: str, sign: Callable[[str, str], None]
) -> None:
    """Keep, signed, the units of a cell; that they cannot be kept fails no build."""
    if cache.units_to:
        try:
            sign(_units(cell), builds.keep(cache.units_to))
        except RocmImagesError as error:
            telling.failure(f"the compiled units of {cell} are not kept: {error}")


def _units(cell: str) -> str:
    """The tag of a cell's units."""
    return cell + _UNITS
