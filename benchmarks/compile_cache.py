"""`python -m benchmarks.compile_cache`: what a build costs whose units are there already.

The recipe's stage of AITER is built on a base with Debian's hipcc, from a tree of 40 kernels: from
nothing; after one kernel changed; and after another changed, on a machine that has none of the
units but takes them from a registry. The time is that of the step that compiles, since no other
step knows of it; what ccache counted stands beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.kernels.tree import change, write_tree
from benchmarks.machine import machine
from rehearsal.bases import base_reference
from rehearsal.engine import PrivateEngine
from rehearsal.stand_ins import Rehearsal
from rocm_images.engine.buildx import BuildRequest, Buildx, command, find_buildx, follow
from rocm_images.engine.compiled_units import UnitBuilds
from rocm_images.matrix.schema import Matrix
from rocm_images.places import PROJECT, ROOTFS, STATE
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.plan.load import load
from rocm_images.recipe.render import render
from rocm_images.servers import DEFAULT

TARGET = 0.2
"""Of the first build's time, the most that one after a changed kernel may take."""
CELL = f"{DEFAULT.name}-942-rocm7.2.2"
_IMAGE = "rocm-serving-images-benchmark/hip"
_START_SECONDS = 30.0


@dataclass(frozen=True)
class Run:
    """The step that compiles, in one build."""

    name: str
    seconds: float
    hits: int
    misses: int


def main(arguments: list[str]) -> int:
    """The command line; returns 1 where the target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compile_cache", description=__doc__)
    parser.add_argument("--kernels", type=int, help="only so many of the 40")
    parser.add_argument("--output", type=Path, default=PROJECT / "benchmarks" / "results")
    given = parser.parse_args(arguments)
    about = machine()
    with tempfile.TemporaryDirectory() as folder:
        runs = measured(Path(folder), given.kernels)
    about["load at the end"] = f"{os.getloadavg()[0]:.2f} (one minute)"
    ratios = {run.name: round(run.seconds / runs[0].seconds, 3) for run in runs[1:]}
    met = max(ratios.values()) <= TARGET
    found = {
        "about": about,
        "kernels": runs[0].hits + runs[0].misses,
        "runs": [asdict(run) for run in runs],
        "of the first": ratios,
        "target": TARGET,
        "met": met,
    }
    text = json.dumps(found, indent=1)
    print(text)
    (given.output / name_of(about["date"], given.kernels)).write_text(text + "\n")
    return 0 if met else 1


def name_of(date: str, kernels: int | None) -> str:
    """The file of the results of a day: one with fewer kernels takes no whole run's place."""
    return f"{date[:10]}-compile-cache{f'-{kernels}-kernels' if kernels else ''}.json"


def measured(folder: Path, kernels: int | None) -> list[Run]:
    """The three builds; `folder` is empty, and gets the tree and the registry's files."""
    matrix = load(PROJECT / "matrix.yaml")
    (cell,) = (one for one in cells_of(matrix) if one.name == CELL)
    engine = Rehearsal().prepared(matrix, [cell])
    builder = find_buildx(engine)
    _base(builder, matrix, cell)
    tree = write_tree(folder / "aiter", kernels)
    # Nothing that an earlier run left is a unit of this one.
    common = tree / "kernels" / "common.h"
    common.write_text(f'{common.read_text()}\n__device__ const char mark[] = "{uuid.uuid4()}";\n')
    ((_, dockerfile),) = render(matrix, [cell])
    (folder / "Dockerfile").write_text(dockerfile)
    request = BuildRequest(
        dockerfile=folder / "Dockerfile",
        directory=ROOTFS,
        references=(),
        contexts={
            **Rehearsal().replaced(matrix, cell),
            cell.base_image: f"docker-image://{_IMAGE}",
            "aiter-src": str(tree),
        },
        labels={},
        log=folder / "aiter.log",
        build_args={"SOURCE_DATE_EPOCH": str(cell.epoch)},
        replaced=True,
    )
    units = UnitBuilds(engine, builder, request, lambda _: None)

    def build(name: str) -> Run:
        stage = replace(request, target="aiter")
        _built(builder, stage, "--output=type=cacheonly")
        return run_of(name, request.log.read_text())

    with ExitStack() as stack:
        tag = f"{_registry(stack, folder / 'registry', engine.environment)}:{CELL}-units"
        first = build("first")
        change(tree, "rms_norm_f16", "1e-6f", "1e-5f")
        second = build("one kernel changed")
        digest = units.keep(tag)
        # BuildKit empties a cache mount where it is told to use no cache: the copy finds nothing.
        stage = replace(request, target="units", log=folder / "empty.log")
        try:
            _built(builder, stage, "--no-cache-filter=units", "--output=type=cacheonly")
        except SystemExit:
            pass
        else:
            raise SystemExit("BuildKit has not emptied the cache mount: nothing is shown")
        units.take(f"{tag.rpartition(':')[0]}@{digest}")
        change(tree, "layer_norm_f16", "1e-5f", "1e-4f")
        return [first, second, build("one kernel changed, another machine")]


def run_of(name: str, log: str) -> Run:
    """What a log of plain progress says of AITER's step."""
    (step,) = set(re.findall(r"^(#\d+) \[aiter \d+/\d+\] .*/run/ccache/use", log, re.MULTILINE))
    lines = "\n".join(line for line in log.splitlines() if line.startswith(f"{step} "))

    def number(pattern: str) -> str:
        found = re.search(pattern, lines)
        assert found, f"{pattern} is not in the log of AITER's step"
        return found[1]

    seconds = float(number(r"DONE ([\d.]+)s"))
    return Run(name, seconds, int(number(r" Hits: +(\d+)")), int(number(r" Misses: +(\d+)")))


def _base(builder: Buildx, matrix: Matrix, cell: Cell) -> None:
    """The base with a hipcc, where the engine lacks it."""
    folder = PROJECT / "benchmarks" / "kernels"
    base = f"docker-image://{base_reference(matrix, cell.rocm)}"
    request = BuildRequest(
        dockerfile=folder / "Dockerfile",
        directory=folder,
        references=(_IMAGE,),
        contexts={"base": base},
        labels={},
        log=STATE / "logs" / "benchmark-hip.log",
    )
    _built(builder, request)


def _registry(stack: ExitStack, folder: Path, environment: Mapping[str, str]) -> str:
    """A registry on loopback until the stack ends; returns the repository of the cache."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    document = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(folder)}},
        "http": {"addr": address},
    }
    folder.mkdir()
    configuration = folder.with_suffix(".yml")
    configuration.write_text(json.dumps(document))
    program = PrivateEngine().packages / "root" / "usr" / "bin" / "docker-registry"
    with configuration.with_suffix(".log").open("wb") as log:
        process = stack.enter_context(
            subprocess.Popen(
                [program, "serve", configuration], stdout=log, stderr=log, env=dict(environment)
            )
        )
    stack.callback(process.kill)
    host, port = address.split(":")
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return f"{address}/cache"
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _built(builder: Buildx, request: BuildRequest, *more: str) -> None:
    request.log.unlink(missing_ok=True)
    *words, where = command(builder, request)
    status, read = follow([*words, *more, where], builder, request.log, lambda _: None)
    if status != 0:
        said = "\n".join(read.tail())
        raise SystemExit(f"{read.failed_step} ended with {status}: {read.error}\n{said}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
