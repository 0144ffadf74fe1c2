"""Runs the image tests (tests/image) against one image and reads their outcome."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rocm_images import labels
from rocm_images.children import Children
from rocm_images.engine import Engine
from rocm_images.errors import InputError
from rocm_images.plan import Cell
from rocm_images.selection import cell_named

if TYPE_CHECKING:
    from collections.abc import Sequence

IMAGE_TESTS = Path(__file__).resolve().parent.parent / "tests" / "image"


@dataclass(frozen=True)
class SmokeOutcome:
    """What the image tests said of one image."""

    passed: int
    failed: tuple[str, ...]
    """One line for each test that failed: its name and what was wrong."""
    log: Path

    @property
    def ok(self) -> bool:
        """Whether at least one test ran and none failed."""
        return self.passed > 0 and not self.failed

    def __str__(self) -> str:
        total = self.passed + len(self.failed)
        return f"{self.passed} of {total} tests passed" if total else "no test ran"


def cell_of_image(engine: Engine, cells: Sequence[Cell], reference: str) -> Cell:
    """The cell that an image says it was built for.

    Raises:
        InputError: the engine does not have the image, or it is not one of this matrix.
    """
    from docker.errors import APIError, ImageNotFound

    client = engine.client()
    try:
        found = client.images.get(reference)
    except ImageNotFound:
        raise InputError(f"the engine has no image {reference!r}: build or pull it first") from None
    except APIError as error:
        raise InputError(f"{reference!r} cannot be used: {error.explanation}") from None
    finally:
        client.close()
    name = found.labels.get(labels.PREFIX + "cell")
    if name is None:
        raise InputError(
            f"{reference!r} carries no label {labels.PREFIX}cell: "
            "only images that were built by this project can be smoke-tested"
        )
    return cell_named(cells, name)


def smoke(
    engine: Engine, matrix: Path, cell: Cell, reference: str, log: Path, children: Children
) -> SmokeOutcome:
    """Run the image tests in a process of their own, with their output in `log`.

    Raises:
        Stopped: the run is being stopped.
        OSError: the log cannot be written.
    """
    results = log.with_suffix(".xml")
    log.parent.mkdir(parents=True, exist_ok=True)
    results.unlink(missing_ok=True)
    words = [
        *(sys.executable, "-m", "pytest", str(IMAGE_TESTS), "-p", "no:cacheprovider", "-q"),
        *("--tb=short", f"--junit-xml={results}"),
        *(f"--image={reference}", f"--cell={cell.name}", f"--matrix={matrix}"),
    ]
    process = children.start(words, engine.environment)
    assert process.stdout is not None
    with log.open("w", encoding="utf-8", buffering=1) as file:
        for line in process.stdout:
            file.write(line)
    process.stdout.close()
    status = children.finished(process)
    return read_outcome(results, status, log)


def read_outcome(results: Path, status: int, log: Path) -> SmokeOutcome:
    """The outcome from pytest's JUnit file; a run that left none, or died, has failed."""
    passed, failed = 0, []
    try:
        cases = list(ElementTree.parse(results).iter("testcase"))
    except (OSError, ElementTree.ParseError):
        cases = []
    for case in cases:
        bad = [child for child in case if child.tag in ("failure", "error", "skipped")]
        if bad:
            # A skipped test proved nothing, so it does not count as passed.
            message = (bad[0].get("message") or bad[0].tag).splitlines()[0]
            failed.append(f"{case.get('name')}: {message}")
        else:
            passed += 1
    if status != 0 and not failed:
        failed.append(f"pytest ended with status {status}: see {log}")
    return SmokeOutcome(passed, tuple(failed), log)
