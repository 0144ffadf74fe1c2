"""An engine that fails in the middle of a run is reported for its cells, without a traceback."""

from __future__ import annotations

import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from packaging.version import Version

from rocm_images.build.pipeline import BuildOptions, run_cells
from rocm_images.build.progress import PlainLines
from rocm_images.build.summary import Result, exit_code
from rocm_images.build.targets import Target
from rocm_images.engine.connect import Engine
from rocm_images.engine.images import EngineImage
from rocm_images.errors import BuildFailed
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from serving import serving


class _HangUp(socketserver.BaseRequestHandler):
    """Ends every connection without an answer, as an engine does that dies."""

    def handle(self) -> None:
        return None


@contextmanager
def hanging_up(path: Path) -> Iterator[Engine]:
    with serving(socketserver.ThreadingUnixStreamServer(str(path), _HangUp)):
        yield Engine(f"unix://{path}", Version("26.1"), "1.45", {})


def test_an_engine_that_went_away_fails_its_cells_and_nothing_else(
    small_matrix: Matrix, tmp_path: Path
) -> None:
    options = BuildOptions(matrix=tmp_path, state=tmp_path, jobs=2)
    found = EngineImage("sha256:00", {}, ())
    inputs = [Target(cell, ("a:1",), found=found) for cell in cells_of(small_matrix)]
    with hanging_up(tmp_path / "engine.sock") as engine:
        reports = run_cells(engine, options, inputs, PlainLines())
    assert {report.result for report in reports} == {Result.ENGINE_FAILED}
    assert all("see whether it still runs" in report.detail for report in reports)
    assert exit_code(reports) == 3


def test_a_cell_whose_base_moved_is_refused_before_anything_is_asked(
    small_matrix: Matrix, tmp_path: Path
) -> None:
    cell = cells_of(small_matrix)[0]
    gone = Engine(f"unix://{tmp_path}/gone.sock", Version("26.1"), "1.45", {})
    options = BuildOptions(matrix=tmp_path, state=tmp_path, jobs=1)
    given = Target(cell, ("a:1",), refusal=BuildFailed("the base moved"))
    (report,) = run_cells(gone, options, [given], PlainLines())
    assert (report.result, report.detail) == (Result.BUILD_FAILED, "the base moved")
