"""`python -m benchmarks.pulling`: measures pushes, pulls and publishing, and writes the results."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.engine import FOLDER, benchmark_engine
from benchmarks.machine import bakery_version, first_line, machine, project_version
from benchmarks.measure import CommandFailed
from benchmarks.pulling import results
from benchmarks.pulling.image import SMALL, TWO_GIGABYTES, Image
from benchmarks.pulling.node import Node, newer_packages
from benchmarks.pulling.publishing import published
from benchmarks.pulling.registry import Registry
from benchmarks.pulling.rounds import Runs, Site, forget, one_round, publish_base
from benchmarks.pulling.ways import ways
from rehearsal import debian_packages
from rehearsal.engine import PrivateEngine
from rocm_images.errors import RocmImagesError
from rocm_images.places import PROJECT

RESULTS = PROJECT / "benchmarks" / "results"
PARTS = ("pulls", "publishing")
NEWER = ", newest client with unpigz"


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the exit status: 0, 1 when something could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pulling", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="measure only this part")
    parser.add_argument("--runs", type=int, default=2, help="rounds, of which each takes minutes")
    parser.add_argument(
        "--small", action="store_true", help="a twentieth of the image: see whether it runs"
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
    notes: list[str] = given.note
    found: Runs = {}
    if given.again:
        try:
            about, found = results.measured_in(json.loads(given.again.read_text()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            print(f"benchmarks: {given.again} is no file of results: {error!r}", file=sys.stderr)
            return 1
        _write(given.again, about, found, notes)
        return 0
    about = machine() | {"project": project_version(PROJECT)}
    image = SMALL if given.small else TWO_GIGABYTES
    chosen = [part for part in PARTS if part in (given.only or PARTS)]
    try:
        if "pulls" in chosen:
            about |= _pulls(image, given.runs, found)
        if "publishing" in chosen:
            with published(_registry_program(), _say) as four:
                about |= _versions(four.environment)
                four.measured(found, given.runs, _say)
                notes = [*notes, four.account()]
    except (RocmImagesError, CommandFailed) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    given.output.mkdir(parents=True, exist_ok=True)
    name = "-".join([about["date"][:10], *chosen, *["small"] * given.small])
    _write(given.output / f"{name}.json", about, found, notes)
    return 0


def _pulls(image: Image, runs: int, found: Runs) -> dict[str, str]:
    """Measures all ways in turns; returns what the results say about image and programs."""
    host = debian_packages.distribution()
    size = image.fetch()
    with benchmark_engine("none") as environment:
        registry = Registry(_registry_program(), FOLDER / "pulling" / "registry")
        node = Node("node", host, PrivateEngine().packages)
        newer = Node("newer-node", newer_packages(host))
        site = Site(image, environment, registry, {"": node, NEWER: newer})
        try:
            _say("the vendor's base")
            publish_base(site)
            for number in range(runs):
                one_round(site, ways(image.context, bakery()), number, found, _say)
            forget(environment)
        finally:
            registry.stop()
            for each in site.nodes.values():
                each.stop()
            shutil.rmtree(FOLDER / "pulling" / "registry")
        return {
            "image": f"{size / 1e9:.2f} GB unpacked",
            **_versions(environment),
            "newer client": first_line(["dockerd", "--version"], newer.environment),
            "its containerd": first_line(["containerd", "--version"], newer.environment),
            "posit-bakery": bakery_version(bakery(), environment),
        }


def _versions(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        "engine": first_line(["dockerd", "--version"], environment),
        "containerd": first_line(["containerd", "--version"], environment),
        "buildx": first_line(["docker", "buildx", "version"], environment),
    }


def bakery() -> Path:
    """Where `make bench` puts posit-bakery."""
    return FOLDER / "venv" / "bin" / "bakery"


def _registry_program() -> Path:
    packages = PrivateEngine().packages
    root = debian_packages.unpack(packages, debian_packages.distribution())
    return root / "usr" / "bin" / "docker-registry"


def _write(file: Path, about: Mapping[str, str], found: Runs, notes: Sequence[str]) -> None:
    document = results.document(about, found, notes)
    page = results.page(about, found, notes)
    file.write_text(json.dumps(document, indent=1) + "\n")
    file.with_suffix(".md").write_text(page)
    print(page)


def _say(text: str) -> None:
    print(f"benchmarks  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
