"""For each planned cell: its build id, and whether the engine is up to date with it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rocm_images import telling
from rocm_images.build.options import parse_build_args, parse_contexts
from rocm_images.build.pipeline import BuildOptions, CellInput
from rocm_images.build.targets import cell_input, with_found, with_published
from rocm_images.engine.connect import Engine, connect
from rocm_images.errors import EngineError
from rocm_images.lock import file as lock
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell
from rocm_images.recipe.render import render
from rocm_images.recipe.rootfs import rootfs

if TYPE_CHECKING:
    from rocm_images.registry.client import Repository


@dataclass(frozen=True)
class Status:
    """What `plan` shows of one cell. `state` is in words."""

    build_id: str
    immutable_tag: str
    state: str


def statuses(
    matrix_path: Path,
    matrix: Matrix,
    cells: Sequence[Cell],
    *,
    rehearse: bool,
    repository: Repository | None = None,
) -> list[Status]:
    """The status of each cell; where no engine answers, that is said in its place.

    Raises:
        InputError: a file that goes into an image, or the lock, cannot be used.
        RegistryError: the repository, where one is given, cannot be asked.
    """
    engine, inputs = found_inputs(matrix_path, matrix, cells, rehearse=rehearse)
    if repository is not None:
        inputs = with_published(repository, inputs)
    found = []
    for given in inputs:
        assert given.inputs is not None
        state = "up to date" if given.found else f"to build ({given.why})"
        if given.published:
            state = f"in the registry ({given.published.rpartition('@')[2]})"
        elif engine is None:
            state = "unknown (no engine answers)"
        tag = given.references[-1].rpartition(":")[2]
        found.append(Status(given.inputs.build_id, tag, state))
    return found


def found_inputs(
    matrix_path: Path,
    matrix: Matrix,
    cells: Sequence[Cell],
    *,
    rehearse: bool,
    contexts: Sequence[str] = (),
    build_args: Sequence[str] = (),
) -> tuple[Engine | None, list[CellInput]]:
    """The engine, where one answers, and each cell with the image that the engine has of it.

    `contexts` and `build_args` are the options of `build`, which are part of the build id.

    Raises:
        InputError: an option, a file that goes into an image, or the lock, cannot be used.
    """
    given = parse_contexts(contexts, cells)
    rendered = list(render(matrix, cells))
    options = BuildOptions(
        matrix=Path(),
        rootfs=rootfs(),
        state=Path(),
        jobs=1,
        build_args=parse_build_args(build_args, [text for _, text in rendered]),
    )
    engine: Engine | None
    if rehearse:
        from rehearsal import stand_ins

        options = replace(options, labels=stand_ins.LABELS, tag_suffix=stand_ins.TAG_SUFFIX)
        engine = stand_ins.find_engine()
        replaced = {cell.name: stand_ins.contexts_of(matrix, cell) for cell in cells}
    else:
        engine = _engine()
        locked = lock.read(lock.path_of(matrix_path))
        replaced = {
            cell.name: lock.locked_contexts(locked, matrix, cell.base_image) for cell in cells
        }
    inputs = [
        cell_input(matrix, options, cell, dockerfile, {**replaced[cell.name], **given})
        for cell, dockerfile in rendered
    ]
    return engine, inputs if engine is None else with_found(engine, inputs)


def _engine() -> Engine | None:
    """The engine, where one can be expected: asking takes 0.1 s, mostly for the SDK's import."""
    default = Path("/var/run/docker.sock")
    configured = Path("~/.docker/config.json").expanduser()
    if not (os.environ.get("DOCKER_HOST") or default.exists() or configured.exists()):
        telling.decided("engine: none is expected, as nothing on this machine names one")
        return None
    try:
        return connect()
    except EngineError as error:
        telling.decided(f"engine: {error}")
        return None
