"""Prepares a rehearsal: the engine, the stand-in bases, stand-in sources, and the emulator.

Everything is made once and reused: an image is named by a digest of what it is made from.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from rehearsal.bases import base_reference, make_base
from rehearsal.ccache import NAME as CCACHE
from rehearsal.ccache import ccache_reference, make_ccache
from rehearsal.engine import PrivateEngine
from rehearsal.root import DEBIAN_IMAGE, root_image, say
from rocm_images import telling
from rocm_images.build.site import NO_ENGINE
from rocm_images.engine.connect import Engine, connect, connect_if_any
from rocm_images.errors import BuildFailed, EngineError
from rocm_images.places import INSTALLED
from rocm_images.recipe.labels import PREFIX, STAND_IN
from rocm_images.smoke import emulator

if TYPE_CHECKING:
    from rocm_images.matrix.schema import Matrix
    from rocm_images.plan.cells import Cell

FOLDER = Path(__file__).resolve().parent
SOURCES = FOLDER / "sources"
TAG_SUFFIX = "-rehearsal"
PRIVATE = "the private engine of the rehearsal"
_STOP = (
    shlex.join([sys.executable, str(FOLDER / "engine.py"), "stop"])
    if INSTALLED
    else "make engine-stop"
)
_NOT_REHEARSED = f"no engine answers, and nothing was rehearsed here: first run {telling.REHEARSE}"

# What every rehearsed image says of itself, beside what its base's label makes it inherit.
LABELS = {STAND_IN: "base sources", PREFIX + "rehearsal": "true"}


class Rehearsal:
    """The site of a rehearsal: an engine that is started where none answers, and stand-ins."""

    tag_suffix = TAG_SUFFIX
    labels: Mapping[str, str] = MappingProxyType(LABELS)
    words = ("--rehearse",)

    def prepared(self, matrix: Matrix, cells: Sequence[Cell], *, tests: bool = True) -> Engine:
        """The engine with the stand-in bases of these cells and, for tests, the emulator.

        Raises:
            EngineError: no engine answers and none can be started.
            BuildFailed: a stand-in base or ccache's image does not build.
        """
        found = self.with_emulator() if tests else self._started()
        client = found.client()
        try:
            with PrivateEngine().only_one():
                for rocm in dict.fromkeys(cell.rocm for cell in cells):
                    make_base(found, client, matrix, rocm)
                for pin in {p.sha256: p for c in cells if (p := c.downloads.get(CCACHE))}.values():
                    make_ccache(found, client, pin)
        finally:
            client.close()
        return found

    def engine(self) -> Engine:
        """An engine that answers, else the private one, which is started where its images are.

        Raises:
            EngineError: nothing was rehearsed here, or it does not start.
        """
        if found := self.found_engine():
            return found
        if not PrivateEngine().data.is_dir():
            raise EngineError(_NOT_REHEARSED)
        return self._private()

    def engine_of_typed(self) -> Engine:
        """The same."""
        return self.engine()

    def prepare_emulator(self, engine: Engine) -> None:
        """Have the emulator on it, built on a root that takes no Docker Hub; else say why not."""
        client = engine.client()
        try:
            with PrivateEngine().only_one():
                if not emulator.is_there(client):
                    say("building the emulator")
                    root = {DEBIAN_IMAGE: f"docker-image://{root_image(client)}"}
                    emulator.build(engine, root)
        except (BuildFailed, EngineError) as error:
            say(f"no emulated GPUs: {error}")
        finally:
            client.close()

    def with_emulator(self) -> Engine:
        """An engine that answers, else a private one, which is started; with the emulator."""
        found = self._started()
        self.prepare_emulator(found)
        return found

    def _started(self) -> Engine:
        return self.found_engine() or self._private()

    def _private(self) -> Engine:
        say(f"no Docker Engine answers: starting a private one; `{_STOP}` ends it")
        private = PrivateEngine()
        private.start()
        return connect({**os.environ, **private.environment()}, PRIVATE)

    def found_engine(self) -> Engine | None:
        """An engine that answers, else the private one where it runs."""
        if found := connect_if_any():
            return found
        private = PrivateEngine()
        if private.pid() is None:
            return None
        return connect({**os.environ, **private.environment()}, PRIVATE)

    without_engine = NO_ENGINE

    def replaced(self, matrix: Matrix, cell: Cell) -> Mapping[str, str]:
        """The named contexts that replace a cell's base and sources by stand-ins."""
        base = f"docker-image://{base_reference(matrix, cell.rocm)}"
        folders = {name: SOURCES / name.removesuffix("-src") for name in cell.pins}
        there = {name: str(folder) for name, folder in folders.items() if folder.is_dir()}
        if pin := cell.downloads.get(CCACHE):
            there[f"{CCACHE}-src"] = f"docker-image://{ccache_reference(pin)}"
        return {cell.base_image: base, **there}

    def programs(self) -> Mapping[str, str]:
        """The private engine's programs too: cosign is among them."""
        return {**os.environ, **PrivateEngine().environment()}
