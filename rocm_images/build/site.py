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
from rocm_images.engine.endpoint import is_named
from rocm_images.errors import EngineError
from rocm_images.places import INSTALLED, PROJECT

if TYPE_CHECKING:
    from rocm_images.matrix.schema import Matrix
    from rocm_images.plan.cells import Cell


NO_ENGINE = "no engine answers"
_REHEARSED = "the engine of a rehearsal runs: add --rehearse for its images"


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
        """An engine that answers, for what reads images: nothing is prepared on it.

        Raises:
            EngineError: there is none.
        """

    def engine_of_typed(self) -> Engine:
        """An engine for images whose references are typed, as `engine` or the rehearsal's.

        Raises:
            EngineError: there is none.
        """

    def prepare_emulator(self, engine: Engine) -> None:
        """What testing an image on it takes that the test could not have by itself."""

    def found_engine(self) -> Engine | None:
        """An engine, if one answers; looking takes no time where none can be expected."""

    @property
    def without_engine(self) -> str:
        """Why `found_engine` has none, in words."""

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
        return self.engine()

    def engine(self) -> Engine:
        """The engine; where only a rehearsal's runs, whose tags are others, that is said."""
        try:
            return connect()
        except EngineError as error:
            if not _only_a_rehearsal_runs():
                raise
            raise EngineError(f"{_REHEARSED}; else: {error}") from None

    def engine_of_typed(self) -> Engine:
        """The engine; where there is none and nobody named one, the rehearsal's, if it runs."""
        try:
            return self.engine()
        except EngineError:
            if not _only_a_rehearsal_runs():
                raise
            return site_of(rehearse=True).engine()

    def prepare_emulator(self, engine: Engine) -> None:
        """Nothing, but on the rehearsal's engine: the tests build it from Docker Hub's Debian."""
        if not INSTALLED and _is_of_a_rehearsal(engine):
            site_of(rehearse=True).prepare_emulator(engine)

    def found_engine(self) -> Engine | None:
        """The engine, where one can be expected: asking takes 0.1 s, mostly to import the SDK."""
        return connect_if_any()

    @property
    def without_engine(self) -> str:
        """No engine answers, or it is a rehearsal's."""
        if _only_a_rehearsal_runs():
            return "only a rehearsal's engine runs: add --rehearse"
        return NO_ENGINE

    def replaced(self, matrix: Matrix, cell: Cell) -> Mapping[str, str]:  # noqa: ARG002
        """Nothing."""
        return {}

    def programs(self) -> Mapping[str, str]:
        """This process's own environment."""
        return dict(os.environ)


def engine_without_a_site() -> Engine:
    """The engine, for a verb that knows no --rehearse.

    Raises:
        EngineError: there is none; where a rehearsal's runs, how it is used.
    """
    try:
        return connect()
    except EngineError as error:
        if not _only_a_rehearsal_runs():
            raise
        script = os.path.relpath(PROJECT / "rehearsal" / "engine.py")
        raise EngineError(
            f'the engine of a rehearsal runs: to work with it, `eval "$({script} env)"`; '
            f"else: {error}"
        ) from None


def _only_a_rehearsal_runs() -> bool:
    """Whether the private engine of a rehearsal runs, and nobody named another: they mean that."""
    if INSTALLED or is_named(os.environ):
        return False
    from rehearsal.engine import PrivateEngine

    return PrivateEngine().pid() is not None


def _is_of_a_rehearsal(engine: Engine) -> bool:
    from rehearsal.engine import PrivateEngine

    return engine.address == PrivateEngine().environment()["DOCKER_HOST"]


def site_of(*, rehearse: bool) -> Site:
    """The real site, or the rehearsal."""
    if not rehearse:
        return RealSite()
    from rehearsal.stand_ins import Rehearsal

    return Rehearsal()
