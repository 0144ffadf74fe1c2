"""Runs the image tests (tests/image) against one image and turns the outcome into evidence."""

from __future__ import annotations

import hashlib
import re
import sys
import threading
import time
import uuid
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rocm_images import telling
from rocm_images.engine.connect import Engine
from rocm_images.engine.containers import RUN_VARIABLE, remove_all
from rocm_images.engine.images import CELL, EngineImage
from rocm_images.engine.machine import devices
from rocm_images.engine.patience import watched
from rocm_images.errors import BuildFailed, EngineError, InputError, NoImageFits, NoSuchImage
from rocm_images.files import growing
from rocm_images.masking import lines_of
from rocm_images.places import IMAGE_TESTS
from rocm_images.plan.cells import Cell
from rocm_images.plan.selection import cell_named
from rocm_images.recipe import labels
from rocm_images.recipe.build_id import files_of
from rocm_images.smoke import emulator, junit
from rocm_images.smoke.evidence import Evidence, Level
from rocm_images.smoke.outcome import read_findings, read_outcome, read_serve
from rocm_images.streams import TookTooLong
from rocm_images.supervisor import Stopped, supervisor
from rocm_images.waiting import OnStep, waiting_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def image_under_test(
    engine: Engine, cells: Sequence[Cell], reference: str
) -> tuple[Cell, EngineImage]:
    """An image by any reference, and the cell that it says it was built for.

    Raises:
        NoSuchImage: the engine does not have the image.
        InputError: it is not one of this matrix.
    """
    from docker.errors import APIError, ImageNotFound

    client = engine.client()
    try:
        image = client.images.get(reference)
    except ImageNotFound:
        raise NoSuchImage(reference) from None
    except APIError as error:
        raise InputError(f"{reference!r} cannot be used: {error.explanation}") from None
    finally:
        client.close()
    name = image.labels.get(CELL)
    if name is None:
        raise InputError(
            f"{reference!r} carries no label {CELL}: "
            "only images that were built by this project can be smoke-tested"
        )
    found = EngineImage(str(image.id), image.labels, (reference,))
    return cell_named(cells, name), found


@cache
def tests_digest() -> str:
    """A digest of the image tests: evidence of other tests says nothing about these."""
    whole = hashlib.sha256(repr(files_of(IMAGE_TESTS)).encode())
    return whole.hexdigest()


def device_for(engine: Engine, image_labels: Mapping[str, str]) -> Level:
    """What the tests of an image can run on here: the level that they can reach at most."""
    if image_labels.get(labels.HIP_RUNTIME) == labels.IMITATION:
        return Level.STAND_IN
    # A remote engine's machine is not this one, so its GPUs cannot be known from here; and what a
    # rehearsal's base is made of was never meant for a GPU.
    if not engine.address.startswith("unix://") or labels.STAND_IN in image_labels:
        return Level.EMULATED
    gfx = image_labels.get(labels.GFX)
    return Level.GPU if gfx in _gfx_here() else Level.EMULATED


def _gfx_here(root: Path = Path("/")) -> set[str]:
    """Of which gfx this machine has GPUs: one that is integrated has /dev/kfd as well."""
    try:
        return {device.gfx for device in devices(root)}
    except NoImageFits:
        return set()


SECONDS, SERVING_SECONDS = 1800.0, 7200.0
"""The most that the tests of one image take, without and with its server: docs/ending.md."""
_WITHOUT: set[str] = set()
"""Addresses of engines on which this run could not build the emulator."""
_ASKING = threading.Lock()
# With both of pytest's options each test has a line, which ends in how many of them have ended.
_COUNTED = ("-v", "--override-ini=console_output_style=count")
_TEST = re.compile(r"[^:]*::(.+) [A-Z]{4,8}\b.*\[ *(\d+)/(\d+)\]$")
_FOUND = re.compile(r"collecting \.{3} collected (\d+) items?$")


def emulated_or_static(engine: Engine) -> Level:
    """Has the emulator on the engine, or says, once a run, why the tests do without a device."""
    with waiting_for("the emulator's build in another cell", otherwise=True), _ASKING:
        if engine.address not in _WITHOUT:
            try:
                emulator.provide(engine)
            except (EngineError, BuildFailed) as error:
                _WITHOUT.add(engine.address)
                telling.failure(f"no emulated GPUs, so only static tests run: {error}")
        return Level.STATIC if engine.address in _WITHOUT else Level.EMULATED


def smoke(
    engine: Engine,
    matrix: Path,
    cell: Cell,
    image_id: str,
    log: Path,
    evidence: Path,
    *,
    serve: bool = False,
    program: Path | None = None,
    on_step: OnStep = lambda text, far="": None,
) -> Evidence:
    """Run the image tests in a process of their own, with their output in `log`.

    Writes the evidence to the folder `evidence`, with JUnit's report beside it, and returns it.
    `serve` has the server decode, too, where there is a GPU. `program` runs the graph probe in
    place of our emulator. `on_step` is told how many of the tests have ended.

    Raises:
        Stopped: the run is being stopped.
        EngineError: the engine does not answer, or went away meanwhile; there is no evidence then.
        EvidenceInvalid: what was found was not found in this image.
        InputError: the log or the evidence cannot be written.
        OSError: the folder of the run cannot be made, or pytest cannot be started.
    """
    begun = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    image_labels = _labels_of(engine, image_id)
    device = device_for(engine, image_labels)
    if program:
        device = min(device, Level.EMULATED, key=list(Level).index)
    elif device is Level.EMULATED:
        device = emulated_or_static(engine)
    # Of this run alone: what another one of the same cell finds is about another image.
    with TemporaryDirectory(prefix=f".{cell.name}.", dir=log.parent) as folder:
        results, probe, served = (Path(folder, name) for name in ("results.xml", "probe", "serve"))
        words = [
            *(sys.executable, "-m", "pytest", str(IMAGE_TESTS)),
            *("-p", "no:cacheprovider", *_COUNTED),
            *("--tb=short", f"--junit-xml={results}"),
            *(f"--image={image_id}", f"--cell={cell.name}", f"--matrix={matrix}"),
            *(f"--device={device}", f"--probe-result={probe}"),
            *((f"--serve-result={served}",) if serve else ()),
            *((f"--emulator={program}",) if program else ()),
        ]
        telling.decided(
            f"{cell.name}: smoke test of {image_id} at most at level {device}; log: {log}"
        )
        seconds = SERVING_SECONDS if serve else SECONDS
        status = _run_tests(engine, words, log, seconds, on_step)
        passed, failed = read_outcome(results, status, log)
        found = Evidence.of(
            cell,
            image_id,
            device=device,
            passed=passed,
            failures=failed,
            seconds=time.monotonic() - begun,
            tests=tests_digest(),
            probe=read_findings(probe, image_id),
            serve=read_serve(served, image_id, device) if serve else None,
            hip_runtime=image_labels.get(labels.HIP_RUNTIME),
            emulator=_named(program) if program else None,
        )
        junit.keep(results, found, evidence)
    found.write(evidence)
    return found


def _run_tests(
    engine: Engine, words: Sequence[str], log: Path, seconds: float, on_step: OnStep
) -> int | str:
    """The exit status of the tests, or why they have none.

    What they started on the engine is gone afterwards, however they ended.

    Raises: see `smoke`.
    """
    client = engine.client()
    try:
        with watched(client) as went_away:
            try:
                status: int | str = _exit_status(engine, words, log, seconds, on_step)
            except TookTooLong:
                status = f"was stopped, as it had not ended within {seconds / 60:g} min"
            if status != 0 and (went_away() or not engine.answers()):
                raise EngineError(
                    f"the Docker Engine at {engine.address} went away during the smoke test, which "
                    "says nothing of the image: see why, and test it again"
                )
            return status
    finally:
        client.close()


def _exit_status(
    engine: Engine, words: Sequence[str], log: Path, seconds: float, on_step: OnStep
) -> int:
    run = uuid.uuid4().hex
    environment = {**engine.environment, RUN_VARIABLE: run}
    with (
        supervisor.undone(lambda: None, lambda: remove_all(engine, run)),
        growing(log) as append,
        supervisor.child(words, environment) as process,
    ):
        assert process.stdout is not None
        for line in engine.patience.each(lines_of(process.stdout), seconds):
            append(line)
            if far := _how_far(line):
                on_step("smoke test", far)
    if supervisor.stopping:
        # They were interrupted, too: what they found is no outcome.
        raise Stopped
    return int(process.returncode)


def _how_far(line: str) -> str:
    """How many of the tests have ended by a line of pytest's; "" where it does not say."""
    if match := _FOUND.match(line):
        return f"0 of {match[1]}"
    match = _TEST.match(line)
    return f"{match[2]} of {match[3]}, after {match[1]}" if match else ""


def _named(program: Path) -> str:
    return f"{program.name}, sha256 {hashlib.sha256(program.read_bytes()).hexdigest()}"


def _labels_of(engine: Engine, image_id: str) -> Mapping[str, str]:
    client = engine.client()
    try:
        found: Mapping[str, str] = client.images.get(image_id).labels
        return found
    finally:
        client.close()
