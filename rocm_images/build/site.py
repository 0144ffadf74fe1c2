"""Where the program works: which engine it uses, and what replaces bases and sources there.

Chosen once, by --rehearse, and handed on as one value. This is the one place of the program that
knows of the rehearsal.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from rocm_images.engine.connect import Engine, connect, connect_if_any

if TYPE_CHECKING:
    from rocm_images.matrix.schema import Matrix
    from rocm_images.plan.cells import Cell


class Site(Protocol):
    """One place to work at: this machine's engine and the real sources, or a rehearsal."""

    @property
    def tag_suffix(self) -> str:
        """What every tag ends in."""

    @property
    def labels(self) -> Mapping[str, str]:
        """What every image carries beside the labels of its Dockerfile."""

    @property
    def words(self) -> tuple[str, ...]:
        """The options with which another build.py works at the same site."""

    def prepared(self, matrix: Matrix, cells: Sequence[Cell], *, tests: bool = True) -> Engine:
        """The engine, with what building these cells takes, and testing them where it `tests`.

        Raises:
            EngineError: none answers and none can be started.
            BuildFailed: what it takes does not build.
        """

    def engine(self) -> Engine:
        """An engine that answers.

        Raises:
            EngineError: there is none.
        """

    def found_engine(self) -> Engine | None:
        """An engine, if one answers; looking takes no time where none can be expected."""

    def replaced(self, matrix: Matrix, cell: Cell) -> Mapping[str, str]:
        """The named contexts that stand for a cell's base and sources."""

    def programs(self) -> Mapping[str, str]:
        """The environment in which cosign is looked for, where no engine has been asked."""


class RealSite:
    """This machine's engine, the vendor's bases and the upstream sources."""

    tag_suffix = ""
    labels: Mapping[str, str] = MappingProxyType({})
    words: tuple[str, ...] = ()

    def prepared(
        self,
        matrix: Matrix,  # noqa: ARG002
        cells: Sequence[Cell],  # noqa: ARG002
        *,
        tests: bool = True,  # noqa: ARG002
    ) -> Engine:
        """The engine as it is: nothing is prepared."""
        return connect()

    def engine(self) -> Engine:
        """The engine."""
        return connect()

    def found_engine(self) -> Engine | None:
        """The engine, where one can be expected: asking takes 0.1 s, mostly to import the SDK."""
        return connect_if_any()

    def replaced(self, matrix: Matrix, cell: Cell) -> Mapping[str, str]:  # noqa: ARG002
        """Nothing."""
        return {}

    def programs(self) -> Mapping[str, str]:
        """This process's own environment."""
        return dict(os.environ)


def site_of(*, rehearse: bool) -> Site:
    """The real site, or the rehearsal."""
    if not rehearse:
        return RealSite()
    from rehearsal.stand_ins import Rehearsal

    return Rehearsal()
