"""Planning and rendering of 10 to 10,000 cells: time, memory, and how they grow."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.measure import Measurement, measure
from rocm_images.places import PROJECT

PLAN = "plan beside the import of its libraries"
LIBRARIES = "import click, pydantic"
BUILD_PY = "build.py"
# Cells by archs and bases.
SIZES: Mapping[int, tuple[int, int]] = {
    10: (5, 2),
    100: (10, 10),
    1000: (40, 25),
    10000: (100, 100),
}


def write_matrix(path: Path, archs: int, bases: int) -> None:
    """The project's matrix with that many archs and bases, at least its own number of archs.

    Of its servers the default one alone, so that these are the cells.
    """
    # As text: no scalar becomes a number.
    document: dict[str, Any] = yaml.load((PROJECT / "matrix.yaml").read_text(), yaml.BaseLoader)
    servers = document["servers"].items()
    document["servers"] = {name: server for name, server in servers if server.get("default")}
    # The first ones are the project's: advisories name them.
    for number in range(archs - len(document["archs"])):
        name = f"{0xA00 + number:x}"
        gpus = [f"Made-up GPU {number}"]
        document["archs"][name] = {"gfx": f"gfx{name}", "family": f"mi{number}z", "gpus": gpus}
    document["bases"] = dict(list(document["bases"].items())[:bases])
    for number in range(bases - len(document["bases"])):
        release = f"7.2.{100 + number}"
        image = f"rocm/pytorch:rocm{release}"
        document["bases"][release] = {"image": image, "python": "3.10", "torch": "2.9.1"}
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def plan_and_libraries(runs: int, say: Callable[[str], None]) -> dict[str, list[Measurement]]:
    """Measurements of `plan`, and of a Python that imports click and pydantic and ends, in turns.

    Raises:
        CommandFailed: one fails.
    """
    environment = {k: v for k, v in os.environ.items() if k != "DOCKER_HOST"}
    commands = {
        BUILD_PY: [sys.executable, str(PROJECT / "build.py"), "plan"],
        LIBRARIES: [sys.executable, "-c", LIBRARIES],
    }
    # Python keeps what it compiles, and so does the program: the first run is unlike all others.
    for words in commands.values():
        measure(words, PROJECT, environment)
    found: dict[str, list[Measurement]] = {name: [] for name in commands}
    for number in range(runs):
        for name in sorted(commands, reverse=number % 2 == 1):
            found[name].append(measure(commands[name], PROJECT, environment))
            say(f"{PLAN}: {name}, run {number + 1}: {found[name][-1].seconds:.3f} s")
    return found


def plan_and_render(
    folder: Path, sizes: Sequence[int], runs: int, say: Callable[[str], None]
) -> dict[str, dict[int, list[Measurement]]]:
    """Measurements by verb and number of cells, of whole processes that talk to no engine.

    Raises:
        CommandFailed: a verb fails.
    """
    environment = {k: v for k, v in os.environ.items() if k != "DOCKER_HOST"}
    build_py = [sys.executable, str(PROJECT / "build.py")]
    found: dict[str, dict[int, list[Measurement]]] = {"plan": {}, "render": {}}
    for cells in sizes:
        matrix = folder / f"{cells}.yaml"
        write_matrix(matrix, *SIZES[cells])
        for number in range(runs):
            # `render` plans first, and writes what the first run has not written.
            output = folder / f"rendered-{cells}-{number}"
            for verb, more in (("plan", ["--json"]), ("render", [f"--output={output}"])):
                words = [*build_py, verb, f"--matrix={matrix}", *more]
                measured = measure(words, PROJECT, environment)
                found[verb].setdefault(cells, []).append(measured)
                say(f"{verb} of {cells} cells, run {number + 1}: {measured.seconds:.2f} s")
    return found


def exponent(points: Mapping[int, float]) -> float:
    """The p of `seconds = a + b * cells**p`, to a hundredth, from 0.25 to 3; nan below 3 sizes.

    By least squares of the relative errors: `a`, what the process takes for next to nothing, is
    nearly all of the small sizes, whose noise would be taken for growth otherwise.
    """
    if len(points) < 3:
        return math.nan
    return min((number / 100 for number in range(25, 301)), key=lambda p: _misfit(points, p))


def _misfit(points: Mapping[int, float], power: float) -> float:
    """The sum of squared relative errors, with the best a and b for that power."""
    rows = [(1 / seconds, math.pow(cells, power) / seconds) for cells, seconds in points.items()]
    aa, ab, bb = (sum(row[i] * row[j] for row in rows) for i, j in ((0, 0), (0, 1), (1, 1)))
    a1, b1 = (sum(row[i] for row in rows) for i in (0, 1))
    determinant = aa * bb - ab * ab
    a = (a1 * bb - b1 * ab) / determinant
    b = (b1 * aa - a1 * ab) / determinant
    return sum((a * one + b * grown - 1) ** 2 for one, grown in rows)
