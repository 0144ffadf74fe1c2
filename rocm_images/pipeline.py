"""Builds and smoke-tests cells side by side; no cell's failure stops another."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from rocm_images import buildx
from rocm_images.children import Children, Stopped
from rocm_images.engine import Engine
from rocm_images.errors import EngineError, RocmImagesError
from rocm_images.plan import Cell
from rocm_images.progress import Progress
from rocm_images.smoke import smoke
from rocm_images.summary import CellReport, Result


@dataclass(frozen=True)
class BuildOptions:
    """What a run does with every cell."""

    matrix: Path
    rootfs: Path
    state: Path
    """The folder for rendered Dockerfiles, logs and the summary."""
    jobs: int
    smoke: bool = True
    build: bool = True
    """False: smoke-test the image that the engine already has."""
    builder: str | None = None
    build_args: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, Path] = field(default_factory=dict)
    network: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    tag_suffix: str = ""


@dataclass(frozen=True)
class CellInput:
    """One cell with its rendered Dockerfile and what replaces its base and sources."""

    cell: Cell
    dockerfile: str
    contexts: Mapping[str, str]
    reference: str | None = None
    """The image to test, where it is not the cell's own tag."""


def run_cells(
    engine: Engine,
    options: BuildOptions,
    inputs: Sequence[CellInput],
    progress: Progress,
) -> list[CellReport]:
    """Build (and test) every cell, at most `options.jobs` at once; reports in the given order.

    Ctrl-C (KeyboardInterrupt) in the calling thread stops every child; the reports of the cells
    that had not ended then say `interrupted`.
    """
    children = Children()
    reports: dict[str, CellReport] = {}
    lock = threading.Lock()

    def work(given: CellInput) -> None:
        begun = time.monotonic()
        try:
            report = _Run(engine, options, given, children, progress).run()
        except Stopped:
            report = CellReport.of(given.cell, Result.INTERRUPTED)
        except RocmImagesError as error:
            report = CellReport.of(given.cell, Result.BUILD_FAILED, detail=str(error))
        except OSError as error:
            detail = f"{error.filename or 'a child process'}: {error.strerror}"
            report = CellReport.of(given.cell, Result.BUILD_FAILED, detail=detail)
        if children.stopping and report.result is not Result.DONE:
            report = CellReport.of(given.cell, Result.INTERRUPTED)
        report = report.after(time.monotonic() - begun)
        with lock:
            reports[given.cell.name] = report
        progress.done(given.cell.name, str(report.result))

    with progress, ThreadPoolExecutor(max_workers=options.jobs) as pool:
        futures: list[Future[None]] = [pool.submit(work, given) for given in inputs]
        try:
            wait(futures)
        except KeyboardInterrupt:
            for future in futures:
                future.cancel()
            children.stop()
            wait([future for future in futures if not future.cancelled()])
    for future in futures:
        if not future.cancelled():
            future.result()
    return [
        reports.get(given.cell.name) or CellReport.of(given.cell, Result.INTERRUPTED)
        for given in inputs
    ]


@dataclass(frozen=True)
class _Run:
    """The work on one cell."""

    engine: Engine
    options: BuildOptions
    given: CellInput
    children: Children
    progress: Progress

    def run(self) -> CellReport:
        cell, options = self.given.cell, self.options
        references = tuple(cell.reference(tag + options.tag_suffix) for tag in cell.tags)
        reference = self.given.reference or references[0]
        report = CellReport.of(cell, Result.DONE, reference=reference)
        if options.build:
            report = self._build(report, references)
            if report.result is not Result.DONE:
                return report
        report = report.of_image(*_image(self.engine, reference))
        return self._smoke(report) if options.smoke else report

    def _log(self, kind: str) -> Path:
        return self.options.state / "logs" / f"{self.given.cell.name}{kind}.log"

    def _on_step(self, step: str) -> None:
        self.progress.step(self.given.cell.name, step)

    def _build(self, report: CellReport, references: tuple[str, ...]) -> CellReport:
        cell, options = self.given.cell, self.options
        folder = options.state / "rendered" / cell.name
        folder.mkdir(parents=True, exist_ok=True)
        dockerfile = folder / "Dockerfile"
        dockerfile.write_text(self.given.dockerfile, encoding="utf-8")
        self._on_step("build starts")
        status, read = buildx.run(
            self.engine,
            buildx.BuildRequest(
                dockerfile=dockerfile,
                directory=options.rootfs,
                references=references,
                contexts=self.given.contexts,
                labels=options.labels,
                log=self._log(""),
                iid_file=folder / "image-id",
                builder=options.builder,
                build_args=options.build_args,
                secrets=options.secrets,
                network=options.network,
            ),
            self.children,
            self._on_step,
        )
        if status == 0:
            return report
        return report.failed(
            Result.BUILD_FAILED,
            detail=f"{read.failed_step or 'build'}: {read.error or f'buildx ended with {status}'}",
            tail=read.tail(),
            log=self._log(""),
        )

    def _smoke(self, report: CellReport) -> CellReport:
        self._on_step("smoke test")
        log = self._log(".smoke")
        found = smoke(
            self.engine,
            self.options.matrix,
            self.given.cell,
            report.image_id,
            log,
            self.options.state / "evidence",
            self.children,
        )
        report = report.tested(found)
        if found.passed:
            return report
        return report.failed(Result.SMOKE_FAILED, detail=report.smoke, tail=found.failures, log=log)


def _image(engine: Engine, reference: str) -> tuple[str, int]:
    """The id and the size in bytes of an image that the engine has.

    Raises:
        EngineError: the engine does not have it, or does not answer.
    """
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    client = engine.client()
    try:
        image = client.images.get(reference)
        return str(image.id), int(image.attrs.get("Size") or 0)
    except (DockerException, RequestException) as error:
        raise EngineError(f"the engine does not give the image {reference}: {error}") from None
    finally:
        client.close()
