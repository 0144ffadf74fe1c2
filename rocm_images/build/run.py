"""One run of `build` or `smoke`: joins site, targets, pipeline and report."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rocm_images import telling, turns
from rocm_images.build.options import parse_build_args, parse_contexts
from rocm_images.build.pipeline import BuildOptions, run_cells
from rocm_images.build.progress import progress_for
from rocm_images.build.site import Site
from rocm_images.build.summary import (
    CellReport,
    evidence_table,
    exit_code,
    failures,
    summary_table,
    write_summary,
)
from rocm_images.build.targets import (
    Target,
    command_of,
    reference_of,
    repositories_of,
    targets_of,
    with_found,
    with_published,
)
from rocm_images.engine.connect import Engine
from rocm_images.engine.image_store import sizes_of, tell_what_is_pushed
from rocm_images.errors import BuildFailed, ExitCode, InputError, NoSuchImage, RocmImagesError
from rocm_images.lock import file as lock
from rocm_images.lock.file import Lock, source_key
from rocm_images.matrix.schema import Matrix
from rocm_images.places import STATE
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.recipe.render import render
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.place import Who
from rocm_images.smoke.run import image_under_test
from rocm_images.supervisor import supervisor

# What reads registries is imported where it is used.
if TYPE_CHECKING:
    from rocm_images.build.step_cache import StepCache


@dataclass(frozen=True)
class BuildCommand:
    """What was typed after `build`: see its options."""

    jobs: int
    builder: str | None
    contexts: Sequence[str]
    build_args: Sequence[str]
    secrets: Mapping[str, Path]
    network: str | None
    smoke: bool
    force: bool
    site: Site
    no_cache: bool = False
    pull: bool = False
    registry: RegistryAddress | None = None
    pull_existing: bool = False
    attempts: int = 1
    """How often the registry is asked what fails for its sake."""
    cache: str | None = None
    units: bool = True
    """Whether the cache's compiled units are taken and kept, too."""
    who: Who = field(default_factory=Who)
    """Whose images and caches in registries count, and who signs the caches."""


def build_and_test(
    matrix_path: Path, matrix: Matrix, cells: Sequence[Cell], command: BuildCommand
) -> ExitCode:
    """Build every cell, test it if asked to, and report.

    Waits for other runs in this folder that work on one of these cells: then what they made is
    there, and need not be made again.

    Raises:
        RocmImagesError: before anything is built: bad input, no engine.
    """
    # Bad words are said before an engine is started for them, or another run waited for.
    given = parse_contexts(command.contexts, cells)
    parse_build_args(command.build_args, [text for _, text in render(matrix, cells)])
    if command.pull:
        _tell_what_is_locked(matrix_path, cells)
    options = BuildOptions(
        matrix=matrix_path,
        state=STATE,
        jobs=command.jobs,
        smoke=command.smoke,
        force=command.force,
        no_cache=command.no_cache,
        pull=command.pull,
        pull_existing=command.pull_existing,
        builder=command.builder,
        secrets=command.secrets,
        network=command.network,
    )
    engine = command.site.prepared(matrix, cells, tests=command.smoke)
    with (
        tempfile.TemporaryDirectory() as folder,
        turns.held([cell.name for cell in cells], "build"),
    ):
        targets = _targets(engine, matrix_path, matrix, cells, command, given, Path(folder))
        to_build = [target for target in targets if target.to_build]
        wanted = [target.cell for target in to_build]
        if wanted:
            tell_what_is_pushed(engine, matrix.layers)
        if command.cache and wanted:
            steps = _step_cache(command.cache, engine, command, Path(folder))
            unkept = units_unkept(to_build, command.site, steps.repository.address)
            options = replace(
                options,
                cache=steps.caches(wanted, cells_of(matrix), unkept),
                sign_cache=steps.sign if steps.signer else None,
            )
        progress = progress_for([c.name for c in cells])
        return _report(_measured(engine, run_cells(engine, options, targets, progress)))


def _tell_what_is_locked(matrix_path: Path, cells: Sequence[Cell]) -> None:
    """Says which bases a build with --pull takes as they were, by their digest."""
    locked = lock.read(lock.path_of(matrix_path))
    held = {
        cell.rocm: None
        for cell in cells
        if cell.base_image in lock.locked_contexts(locked, cell.base_image, {})
    }
    for base in held:
        telling.step(
            f"note: --pull takes the base {base} by the digest in matrix.lock, as before: for a "
            f"newer one, `{telling.COMMAND} lock --update {base}`"
        )


def _targets(
    engine: Engine,
    matrix_path: Path,
    matrix: Matrix,
    cells: Sequence[Cell],
    command: BuildCommand,
    given: Mapping[str, str],
    folder: Path,
) -> list[Target]:
    """What each cell is built from, which image of it there is already, and what is refused.

    `folder` gets the public part of a private key.
    """
    site = command.site
    targets = targets_of(
        site,
        matrix_path,
        matrix,
        cells,
        contexts=command.contexts,
        build_args=command.build_args,
    )
    if not command.force:
        targets = with_found(engine, targets)
        if command.registry and any(target.found is None for target in targets):
            from rocm_images.registry.cosign import Cosign

            ca_bundle = command.secrets.get("ca-bundle")
            there = repositories_of(command.registry, ca_bundle, command.attempts, cells)
            cosign = Cosign(command.registry, engine.environment, ca_bundle)
            trust = command.who.trust(cosign, folder)
            targets = with_published(there, cosign, trust, targets)
    replaced = {*given, *(name for cell in cells for name in site.replaced(matrix, cell))}
    locked = lock.read(lock.path_of(matrix_path))
    targets = _held_to_the_lock(engine, matrix, locked, targets, replaced)
    for target in targets:
        telling.decided(_decision(target, replaced))
    return targets


def units_unkept(targets: Sequence[Target], site: Site, cache: RegistryAddress) -> set[str]:
    """The cells of whose builds no units are kept: other machines would take them for the cell's.

    A rehearsal keeps them in a registry on loopback, which nobody else sees.
    """
    if site.tag_suffix and cache.is_loopback:
        return set()
    return {target.cell.name for target in targets if target.replaced}


def _step_cache(repository: str, engine: Engine, command: BuildCommand, folder: Path) -> StepCache:
    from rocm_images.build.step_cache import StepCache
    from rocm_images.registry.client import Repository
    from rocm_images.registry.cosign import Cosign
    from rocm_images.registry.retries import Retries

    where, _, name = repository.rpartition("/")
    address = RegistryAddress.parse(where)
    ca_bundle, who = command.secrets.get("ca-bundle"), command.who
    cosign = Cosign(address, engine.environment, ca_bundle)
    # A cache that does not answer is done without: nobody waits for it.
    there = Repository(address, name, ca_bundle, Retries(attempts=1))
    return StepCache(there, cosign, who.trust(cosign, folder), who.signer, units=command.units)


def _decision(given: Target, replaced: AbstractSet[str]) -> str:
    """What is done with one cell, and what of its base and sources is replaced."""
    done = f"to build ({given.why or 'asked for by --force'})"
    if given.refusal:
        done = "refused"
    elif given.found:
        done = f"the engine has it: {given.found.image_id}"
    elif given.published:
        done = f"the registry has it: {given.published}"
    names = [name for name in given.contexts if name in replaced]
    return f"{given.cell.name}: {done}" + (f"; replaced: {', '.join(names)}" if names else "")


def _held_to_the_lock(
    engine: Engine,
    matrix: Matrix,
    locked: Lock,
    inputs: Sequence[Target],
    replaced: AbstractSet[str],
) -> list[Target]:
    """The same cells, with a refusal for each that would be built on a base that moved.

    Warns of what is built from without a lock. Only cells that have to be built are looked at, so
    a run in which nothing changed asks no registry.
    """
    if not any(given.to_build for given in inputs):
        return list(inputs)
    from rocm_images.lock.changes import wanted_of
    from rocm_images.lock.update import moved_bases, unlocked_sentences

    bases = {
        given.cell.base_image
        for given in inputs
        if given.to_build and given.cell.base_image not in replaced
    }
    trees = {
        source_key(source)
        for given in inputs
        for name, source in given.cell.sources.items()
        if given.to_build and f"{name}-src" not in replaced
    }
    used = [wanted for wanted in wanted_of(matrix) if wanted.key in bases | trees]
    for sentence in unlocked_sentences(locked, used):
        telling.step(f"{telling.PROGRAM}: warning: {sentence}")
    moved = moved_bases(engine, locked, sorted(bases)) if bases else {}
    return [
        replace(given, refusal=given.refusal or _moved(moved.get(given.cell.base_image)))
        if given.to_build
        else given
        for given in inputs
    ]


def _moved(sentence: str | None) -> BuildFailed | None:
    return BuildFailed(sentence) if sentence else None


def test_images(
    matrix_path: Path,
    cells: Sequence[Cell],
    chosen: Sequence[Cell],
    site: Site,
    *,
    image: str | None,
    jobs: int,
    serve: bool,
    program: Path | None,
) -> ExitCode:
    """Test the images of the chosen cells, or the one image that is named, and report.

    Waits for other runs in this folder that work on one of these cells.

    `program` is that of another emulator than ours.

    Raises:
        RocmImagesError: before anything is tested: bad input, no engine, no such image.
    """
    engine = site.engine_of_typed() if image else site.engine()
    if program and not engine.address.startswith("unix://"):
        raise InputError(f"--emulator: the engine at {engine.address} cannot see {program}")
    commands = {reference_of(cell, site): command_of(cell, site) for cell in chosen}
    targets = []
    for reference in [image] if image else commands:
        try:
            cell, found = image_under_test(engine, cells, reference)
        except NoSuchImage:
            raise NoSuchImage(reference, commands.get(reference, "")) from None
        targets.append(Target(cell, (reference,), found=found))
    if program is None:
        site.prepare_emulator(engine)
    options = BuildOptions(
        matrix=matrix_path, state=STATE, jobs=jobs, force=True, serve=serve, program=program
    )
    names = [target.cell.name for target in targets]
    with turns.held(names, "smoke"):
        reports = run_cells(engine, options, targets, progress_for(names))
        return _report(_measured(engine, reports))


def _measured(engine: Engine, reports: Sequence[CellReport]) -> list[CellReport]:
    """The reports with the sizes of their images. Not to know them is no failure of a cell."""
    images = list(dict.fromkeys(report.image_id for report in reports if report.image_id))
    if not images or supervisor.stopping:
        return list(reports)
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        with closing(engine.client()) as client:
            sizes = sizes_of(client, images)
    except (RocmImagesError, DockerException, RequestException) as error:
        telling.step(f"note: the sizes of the images are not known: {telling.quoted(error)}")
        return list(reports)
    return [report.measured(sizes) for report in reports]


def _report(reports: Sequence[CellReport]) -> ExitCode:
    code = exit_code(reports)
    text = failures(reports)
    if text:
        print(f"\n{text}", file=sys.stderr)
    table = evidence_table(reports)
    if table:
        telling.written(f"{table}\n")
    print(summary_table(reports))
    if code is ExitCode.INTERRUPTED:
        telling.failure("interrupted; what is `interrupted` above was stopped")
    # Last: where it cannot be written, what was found is told all the same.
    write_summary(STATE / "summary.json", reports)
    return code
