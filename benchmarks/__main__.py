"""`python -m benchmarks`: measures everything and writes benchmarks/results/."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import results, scale
from benchmarks.contenders import Bake, BuildPy, Contender, OneAfterTheOther, PositBakery
from benchmarks.engine import BRIDGE, FOLDER, benchmark_engine
from benchmarks.machine import bakery_version, first_line, machine, project_version
from benchmarks.measure import CommandFailed, measure
from benchmarks.project_copy import ProjectCopy, copy_project
from benchmarks.scenarios import SCENARIOS, Runs, compare, remove_what_was_built
from rocm_images.errors import RocmImagesError
from rocm_images.places import PROJECT

RESULTS = PROJECT / "benchmarks" / "results"
# A cold build takes a minute or more, a run in which nothing changed less than a second.
RUNS = {
    "cold cache": 3,
    "nothing changed": 9,
    "one file of rootfs changed": 7,
    "one base changed": 3,
}
SCALE_RUNS = 3
# Four cells: enough to build side by side, and the same in every result.
BASES = ("7.2.0", "7.2.2")
PLAN_RUNS = 15


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the exit status: 0, 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        choices=[*SCENARIOS, "plan", "scale"],
        help="measure only this; may be repeated",
    )
    parser.add_argument("--runs", type=int, help="rounds of each scenario instead of its own")
    parser.add_argument("--cells", type=int, help="no more cells than this", default=10_000)
    parser.add_argument(
        "--bakery", type=Path, default=FOLDER / "venv/bin/bakery", help="posit-bakery's program"
    )
    parser.add_argument("--note", action="append", default=[], help="a line for the results")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the folder of the results")
    parser.add_argument(
        "--again",
        type=Path,
        metavar="FILE.json",
        help="measure nothing: write these results again, with --note",
    )
    given = parser.parse_args(arguments)
    if given.again:
        return _again(given.again, given.note)
    # As a user's Python does, it keeps what it compiled.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    chosen = given.only or [*SCENARIOS, "plan", "scale"]
    about = machine() | {"project": project_version(PROJECT)}
    scenarios: dict[str, Runs] = {}
    grown: results.ScaleRuns = {}
    try:
        if "scale" in chosen:
            sizes = [cells for cells in scale.SIZES if cells <= given.cells]
            with tempfile.TemporaryDirectory() as folder:
                runs = given.runs or SCALE_RUNS
                grown = scale.plan_and_render(Path(folder), sizes, runs, _say)
        beside = scale.plan_and_libraries(given.runs or PLAN_RUNS, _say) if "plan" in chosen else {}
        names = [name for name in SCENARIOS if name in chosen]
        if names:
            project = copy_project(FOLDER / "project", BASES)
            with benchmark_engine("none") as environment:
                _say("the stand-in bases, where they are missing")
                measure(BuildPy("", environment).words(project), project.folder, environment)
            with benchmark_engine(BRIDGE) as environment:
                about |= _versions(environment, given.bakery)
                scenarios = _compare_all(names, project, environment, given.bakery, given.runs)
        scenarios |= {scale.PLAN: beside} if beside else {}
    except (RocmImagesError, CommandFailed) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    given.output.mkdir(parents=True, exist_ok=True)
    file = given.output / f"{about['date'][:10]}.json"
    _write(file, about, scenarios, grown, given.note)
    return 0


def _again(file: Path, notes: Sequence[str]) -> int:
    """What was measured stays as it was; targets and fits are made anew from it."""
    try:
        about, scenarios, grown = results.measured_in(json.loads(file.read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        print(f"benchmarks: {file} is no file of results: {error!r}", file=sys.stderr)
        return 1
    _write(file, about, scenarios, grown, notes)
    return 0


def _write(
    file: Path,
    about: Mapping[str, str],
    scenarios: Mapping[str, results.Runs],
    grown: results.ScaleRuns,
    notes: Sequence[str],
) -> None:
    document = results.document(about, scenarios, grown, notes)
    page = results.page(about, scenarios, grown, notes)
    file.write_text(json.dumps(document, indent=1) + "\n")
    file.with_suffix(".md").write_text(page)
    print(page)


def _compare_all(
    names: Sequence[str],
    project: ProjectCopy,
    environment: Mapping[str, str],
    bakery: Path,
    runs: int | None,
) -> dict[str, Runs]:
    contenders: list[Contender] = [
        BuildPy("build.py", environment),
        OneAfterTheOther("one after the other", environment),
        Bake("bake", environment),
        PositBakery("posit-bakery", environment, bakery),
    ]
    try:
        return {
            name: compare(name, project, contenders, runs or RUNS[name], _say) for name in names
        }
    finally:
        remove_what_was_built(environment)
        shutil.rmtree(project.folder)


def _versions(environment: Mapping[str, str], bakery: Path) -> dict[str, str]:
    format_ = "{{.Server.Version}}"
    return {
        "engine": first_line(["docker", "version", f"--format={format_}"], environment),
        "buildx": first_line(["docker", "buildx", "version"], environment),
        "posit-bakery": bakery_version(bakery, environment),
    }


def _say(text: str) -> None:
    print(f"benchmarks  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
