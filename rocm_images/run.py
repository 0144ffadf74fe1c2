"""One run of `build` or `smoke`: joins engine, rehearsal, pipeline and report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rocm_images.engine import Engine, connect
from rocm_images.errors import ExitCode, InputError
from rocm_images.matrix import Matrix
from rocm_images.pipeline import BuildOptions, CellInput, run_cells
from rocm_images.plan import Cell
from rocm_images.progress import progress_for
from rocm_images.render import PROJECT, ROOTFS, render
from rocm_images.selection import closest
from rocm_images.smoke import cell_of_image
from rocm_images.summary import (
    CellReport,
    evidence_table,
    exit_code,
    failures,
    summary_table,
    write_summary,
)

STATE = PROJECT / "build"
# The stages of the Dockerfile that a named context can replace.
SOURCE_STAGES = ("sglang-src", "aiter-src", "rustup-src")


def build_and_test(
    matrix_path: Path,
    matrix: Matrix,
    cells: Sequence[Cell],
    *,
    jobs: int,
    builder: str | None,
    contexts: Sequence[str],
    build_args: Mapping[str, str],
    smoke: bool,
    rehearse: bool,
) -> ExitCode:
    """Build every cell, test it if asked to, and report.

    Raises:
        RocmImagesError: before anything is built: bad input, no engine.
    """
    given = parse_contexts(contexts, cells)
    options = BuildOptions(
        matrix=matrix_path,
        rootfs=ROOTFS,
        state=STATE,
        jobs=jobs,
        smoke=smoke,
        builder=builder,
        build_args=build_args,
    )
    engine, options, stand_ins = _prepare(options, matrix, cells, rehearse=rehearse)
    inputs = [
        CellInput(cell, dockerfile, {**stand_ins(cell), **given})
        for cell, dockerfile in render(matrix, cells)
    ]
    return _report(run_cells(engine, options, inputs, progress_for([c.name for c in cells])))


def test_images(
    matrix_path: Path,
    matrix: Matrix,
    cells: Sequence[Cell],
    chosen: Sequence[Cell],
    *,
    image: str | None,
    jobs: int,
    rehearse: bool,
) -> ExitCode:
    """Test the images of the chosen cells, or the one image that is named, and report.

    Raises:
        RocmImagesError: before anything is tested: bad input, no engine, no such image.
    """
    options = BuildOptions(matrix=matrix_path, rootfs=ROOTFS, state=STATE, jobs=jobs, build=False)
    engine, options, _ = _prepare(options, matrix, (), rehearse=rehearse)
    if image:
        inputs = [CellInput(cell_of_image(engine, cells, image), "", {}, image)]
    else:
        references = [cell.reference(cell.tags[0] + options.tag_suffix) for cell in chosen]
        for reference in references:
            cell_of_image(engine, cells, reference)
        inputs = [
            CellInput(cell, "", {}, reference)
            for cell, reference in zip(chosen, references, strict=True)
        ]
    names = [given.cell.name for given in inputs]
    return _report(run_cells(engine, options, inputs, progress_for(names)))


def parse_contexts(contexts: Sequence[str], cells: Sequence[Cell]) -> dict[str, str]:
    """`--context NAME=SOURCE` texts by name.

    Raises:
        InputError: one is malformed, given twice, or names nothing that a chosen cell uses;
            BuildKit itself would ignore a misspelt name without a word.
    """
    known = {*SOURCE_STAGES, *(cell.base_image for cell in cells)}
    parsed: dict[str, str] = {}
    for text in contexts:
        name, separator, source = text.partition("=")
        if not (name and separator and source):
            raise InputError(f"--context {text!r} is not NAME=SOURCE")
        if name not in known:
            raise InputError(f"--context {name!r} replaces nothing: {closest(name, known)}")
        if name in parsed:
            raise InputError(f"--context {name!r} is given twice")
        if "://" not in source and not source.startswith("git@") and not Path(source).is_dir():
            raise InputError(
                f"--context {name}: {source!r} is no folder, nor an address "
                "(https://..., docker-image://..., oci-layout://...)"
            )
        parsed[name] = source
    return parsed


def _prepare(
    options: BuildOptions, matrix: Matrix, cells: Sequence[Cell], *, rehearse: bool
) -> tuple[Engine, BuildOptions, Callable[[Cell], Mapping[str, str]]]:
    """The engine to use, the options for it, and what replaces each cell's base and sources."""
    if not rehearse:
        return connect(), options, lambda cell: {}
    from rehearsal.stand_ins import prepare

    rehearsal = prepare(matrix, cells)
    options = replace(options, tag_suffix=rehearsal.tag_suffix, labels=rehearsal.labels)
    return rehearsal.engine, options, rehearsal.contexts


def _report(reports: Sequence[CellReport]) -> ExitCode:
    write_summary(STATE / "summary.json", reports)
    code = exit_code(reports)
    text = failures(reports)
    if text:
        print(f"\n{text}", file=sys.stderr)
    table = evidence_table(reports)
    if table:
        print(f"{table}\n")
    print(summary_table(reports))
    if code is ExitCode.INTERRUPTED:
        print("build.py: interrupted; what is not `done` above was stopped", file=sys.stderr)
    return code
