"""Builds and smoke-tests cells side by side; no cell's failure stops another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from rocm_images import telling
from rocm_images.build.progress import Progress
from rocm_images.build.summary import GOOD_RESULTS, CellReport, Result
from rocm_images.build.targets import Target
from rocm_images.engine import buildx
from rocm_images.engine.build_cache import BuildCache
from rocm_images.engine.buildx_program import settings_folder
from rocm_images.engine.compiled_units import UnitBuilds
from rocm_images.engine.connect import Engine
from rocm_images.engine.images import BUILD_ID, INPUTS, EngineImage, image_of, pull
from rocm_images.engine.logins import kept_from
from rocm_images.errors import REFUSALS, EngineError, RocmImagesError
from rocm_images.files import check_folder, refusal_in, write_whole
from rocm_images.pool import Threads
from rocm_images.recipe.rootfs import rootfs
from rocm_images.references import registry_of, repository_of, tag_of
from rocm_images.sbom.made import sbom_of
from rocm_images.smoke.evidence import Evidence, Level
from rocm_images.smoke.run import device_for, emulated_or_static, smoke, tests_digest
from rocm_images.supervisor import Stopped, supervisor

_UNWIND_SECONDS = 0.5


@dataclass(frozen=True)
class BuildOptions:
    """What a run does with every cell."""

    matrix: Path
    state: Path
    """The folder for rendered Dockerfiles, logs, evidence and the summary."""
    jobs: int
    smoke: bool = True
    serve: bool = False
    """Have the smoke test start the server itself, where there is a GPU."""
    program: Path | None = None
    """Have the smoke test run the graph probe under this program of another emulator."""
    force: bool = False
    """Build and test even what is up to date."""
    no_cache: bool = False
    """Run every step anew."""
    pull: bool = False
    """Ask for the base anew."""
    pull_existing: bool = False
    """Pull, and test, what the target registry has and the engine has not."""
    builder: str | None = None
    cache: Mapping[str, BuildCache] = field(default_factory=dict)
    """Where each cell's steps are kept, by the cell's name."""
    sign_cache: Callable[[str, str], None] | None = None
    """Signs the cache of a cell, by the cell's name and the cache's digest."""
    secrets: Mapping[str, Path] = field(default_factory=dict)
    network: str | None = None

    @property
    def evidence(self) -> Path:
        """The folder of the evidence."""
        return self.state / "evidence"


def run_cells(
    engine: Engine,
    options: BuildOptions,
    inputs: Sequence[Target],
    progress: Progress,
) -> list[CellReport]:
    """Build (and test) every cell, at most `options.jobs` at once; reports in the given order.

    Raises:
        EngineError: something has to be built, and there is no buildx that could.
        InputError: something has to be built and tested, and no evidence of it can be written.

    Ctrl-C (KeyboardInterrupt) in the calling thread stops every child; the reports of the cells
    that had not ended then say `interrupted`.
    """
    # By now an engine has answered, so the SDK is loaded in any case.
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    # Looked for only where something is built: an engine that has every image needs no buildx.
    building = any(g.to_build and not g.refusal for g in inputs)
    if building and options.smoke:
        check_folder(options.evidence)
    builder = buildx.find_buildx(engine) if building else None
    reports: dict[str, CellReport] = {}
    lock = threading.Lock()

    def work(given: Target) -> None:
        begun = time.monotonic()
        try:
            report = _Run(engine, options, given, builder, progress).run()
        except Stopped:
            report = CellReport.of(given.cell, Result.INTERRUPTED)
        except RocmImagesError as error:
            result = Result.of(error.exit_code)
            report = CellReport.of(given.cell, result, detail=str(error))
        except (DockerException, RequestException) as error:
            detail = f"the engine at {engine.address} failed: {error}: see whether it still runs"
            report = CellReport.of(given.cell, Result.ENGINE_FAILED, detail=detail)
        except OSError as error:
            refused = error.errno in REFUSALS
            result = Result.SYSTEM_REFUSED if refused else Result.BUILD_FAILED
            detail = f"{error.filename or 'a child process'}: {error.strerror}"
            report = CellReport.of(given.cell, result, detail=detail)
        if supervisor.stopping and report.result not in GOOD_RESULTS:
            report = CellReport.of(given.cell, Result.INTERRUPTED)
        report = report.after(time.monotonic() - begun)
        with lock:
            reports[given.cell.name] = report
        progress.done(given.cell.name, str(report.result))

    futures: list[Future[None]] = []
    with progress:
        try:
            with Threads(max_workers=options.jobs) as pool:
                futures += (pool.submit(work, given) for given in inputs)
                wait(futures)
        except KeyboardInterrupt:
            supervisor.stop()
            # One that waits for a server, or the engine, is not waited for.
            wait(futures, timeout=_UNWIND_SECONDS)
    for future in futures:
        if future.done() and not future.cancelled():
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
    given: Target
    buildx: buildx.Buildx | None
    progress: Progress

    def run(self) -> CellReport:
        found = self.given.found
        report = CellReport.of(self.given.cell, Result.DONE, reference=self.given.rolling[0])
        if found is None and self.given.refusal:
            raise self.given.refusal
        if found is None and self.given.published:
            report = replace(report, reference=self.given.published, result=Result.IN_REGISTRY)
            if not self.options.pull_existing:
                return report
            assert self.given.inputs is not None
            found = pull(
                self.engine, self.given.published, self.given.inputs.build_id, self._on_step
            )
            report = replace(report, reference=self.given.rolling[0], result=Result.PULLED)
            self._tag(found)
        elif found is None:
            report = self._build(report)
            if report.result is not Result.DONE:
                return report
        else:
            report = replace(report, result=Result.UP_TO_DATE)
            self._tag(found)
        if found:
            report = report.of_image(found.image_id)
        return self._smoke(report, found) if self.options.smoke else report

    def _tag(self, found: EngineImage) -> None:
        """Gives an image that is already there the tags that it lacks or lost to another one."""
        missing = [name for name in self.given.references if name not in found.tags]
        if not missing:
            return
        client = self.engine.client()
        try:
            image = client.images.get(found.image_id)
            for name in missing:
                image.tag(repository_of(name), tag_of(name))
        finally:
            client.close()

    def _log(self, kind: str) -> Path:
        return self.options.state / "logs" / f"{self.given.cell.name}{kind}.log"

    def _on_step(self, step: str, far: str = "", /) -> None:
        self.progress.step(self.given.cell.name, step, far)

    def _build(self, report: CellReport) -> CellReport:
        # What signs units reads registries, too: a run that builds nothing does without.
        from rocm_images.build.step_cache import keep_units, take_units

        cell, options, inputs = self.given.cell, self.options, self.given.inputs
        assert inputs is not None
        assert self.buildx is not None
        dockerfile = options.state / "rendered" / cell.name / "Dockerfile"
        write_whole(dockerfile, self.given.dockerfile, lasting=False)
        self._on_step(f"build starts: {self.given.why}" if self.given.why else "build starts")
        cache = options.cache.get(cell.name, BuildCache())
        request = buildx.BuildRequest(
            dockerfile=dockerfile,
            directory=rootfs(),
            references=self.given.references,
            contexts=self.given.contexts,
            labels={**self.given.labels, BUILD_ID: inputs.build_id, INPUTS: inputs.label},
            log=self._log(""),
            builder=options.builder,
            build_args={"SOURCE_DATE_EPOCH": str(cell.epoch), **self.given.build_args},
            secrets=options.secrets,
            network=options.network,
            no_cache=options.no_cache,
            pull=options.pull,
            cache=cache,
            replaced=self.given.replaced,
            layers=self.given.layers,
            annotations=self.given.annotations,
        )
        units = UnitBuilds(self.engine, self.buildx, request, self._on_step)
        take_units(units, cache, cell.name)
        status, read = buildx.run(self.buildx, request, self._on_step)
        if options.sign_cache and not read.stages.isdisjoint(cell.server.wheel_stages):
            keep_units(units, cache, cell.name, options.sign_cache)
        built = self._built(inputs.build_id) if status == 0 else None
        if built is not None:
            if read.cache and options.sign_cache:
                self._on_step("sign the build cache")
                options.sign_cache(cell.name, read.cache)
            return report.of_image(built.image_id)
        if status == 0:
            detail = (
                f"buildx ended as if all were well, and the engine has no image {BUILD_ID}="
                f"{inputs.build_id} at {self.given.immutable}: see whether `docker buildx version` "
                "is buildx, and whether the builder loads what it builds"
            )
            return report.failed(
                Result.BUILD_FAILED, detail=detail, tail=read.tail(), log=self._log("")
            )
        # Of what a step says, the folder is the container's.
        settings = settings_folder(self.buildx.environment)
        if not read.failed_step and (refused := refusal_in(read.error, settings)):
            return report.failed(
                Result.SYSTEM_REFUSED, detail=str(refused), tail=read.tail(), log=self._log("")
            )
        if why := kept_from(read.error, registry_of(cell.base_image)):
            return report.failed(
                Result.REGISTRY_FAILED, detail=why, tail=read.tail(), log=self._log("")
            )
        return report.failed(
            Result.BUILD_FAILED,
            detail=f"{read.failed_step or 'build'}: {read.error or f'buildx ended with {status}'}",
            tail=read.tail(),
            log=self._log(""),
        )

    def _built(self, build_id: str) -> EngineImage | None:
        """By the immutable tag: another run may move a rolling one at any time."""
        found = self._on_engine(self.given.immutable)
        return found if found and found.labels.get(BUILD_ID) == build_id else None

    def _on_engine(self, reference: str) -> EngineImage | None:
        with closing(self.engine.client()) as client:
            return image_of(client, reference)

    def _smoke(self, report: CellReport, found: EngineImage | None) -> CellReport:
        """Tests the image, which was built just now where it was not `found`."""
        known = None
        if found is not None and not self.options.force:
            known = self._known_evidence(found, report.image_id)
        if known:
            return report.tested(known)
        check_folder(self.options.evidence)
        self._on_step("smoke test")
        log = self._log(".smoke")
        evidence = smoke(
            self.engine,
            self.options.matrix,
            self.given.cell,
            report.image_id,
            log,
            self.options.evidence,
            serve=self.options.serve,
            program=self.options.program,
            on_step=self._on_step,
        )
        report = report.tested(evidence)
        if evidence.passed:
            self._list(report.image_id)
            up_to_date = report.result is Result.UP_TO_DATE
            return replace(report, result=Result.TESTED) if up_to_date else report
        failures = evidence.failures
        return report.failed(Result.SMOKE_FAILED, detail=report.smoke, tail=failures, log=log)

    def _list(self, image_id: str) -> None:
        """Makes the bill of an image, while it is warm; `publish` makes one that is missing."""
        self._on_step("list what it holds")
        try:
            sbom_of(self.engine, image_id, self.options.evidence)
        except EngineError as error:
            telling.step(f"{telling.PROGRAM}: warning: {self.given.cell.name}: {error}")

    def _known_evidence(self, found: EngineImage, image_id: str) -> Evidence | None:
        """Evidence that this very image passed these very tests, as well as they can run here."""
        known = Evidence.read(self.options.evidence, image_id)
        if known is None:
            return None
        reachable = device_for(self.engine, found.labels)
        if reachable is Level.EMULATED and not known.level.reaches(reachable):
            reachable = emulated_or_static(self.engine)
        return known if known.counts_for(tests_digest(), reachable) else None
