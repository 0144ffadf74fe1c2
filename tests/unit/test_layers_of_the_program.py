"""The packages of the program stand in one order, and none imports one that stands after it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PROGRAM = PROJECT / "rocm_images"
# What stands in one row is a step's neighbour: neither is before the other.
ORDER = (
    (
        "clock",
        "errors",
        "files",
        "foreign",
        "loopback",
        "markdown",
        "masking",
        "places",
        "references",
        "reference_types",
        "sizes",
        "streams",
        "tables",
        "telling",
        "turns",
        "waiting",
    ),
    ("pool", "supervisor", "threads"),
    ("servers",),
    ("matrix",),
    ("plan",),
    ("recipe",),
    ("engine",),
    ("sbom",),
    ("lock", "registry", "smoke"),
    ("build",),
    (
        "catalogue",
        "ci",
        "cli",
        "comparing",
        "deploying",
        "distributing",
        "publishing",
        "start",
        "waited",
    ),
)
ROW = {name: row for row, names in enumerate(ORDER) for name in names}


def imports_of(path: Path) -> Iterator[str]:
    """What a module imports of the program, at its head or within a function."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "rocm_images":
            yield from (alias.name for alias in node.names if alias.name != "__version__")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rocm_images."):
            yield str(node.module).split(".")[1]


def upward(program: Path) -> list[str]:
    """Every import of what stands after, as `module imports package`."""
    found = []
    for path in sorted(program.rglob("*.py")):
        place = path.relative_to(program)
        package = place.parts[0].removesuffix(".py")
        if package != "__init__":
            found += [
                f"{place} imports {other}"
                for other in imports_of(path)
                if ROW[other] > ROW[package]
            ]
    return found


def test_no_package_imports_one_that_stands_after_it() -> None:
    assert upward(PROGRAM) == []


def test_the_walk_of_a_newcomer_goes_from_file_to_file() -> None:
    text = (PROJECT / "CONTRIBUTING.md").read_text()
    walk = re.findall(r"^\| (\S+\.py) \|", text, flags=re.MULTILINE)
    assert 5 < len(walk) <= 10
    for place, name in enumerate(walk[1:], 1):
        module = name.removesuffix(".py").replace("/", ".")
        before = "\n".join((PROJECT / earlier).read_text() for earlier in walk[:place])
        package, _, leaf = module.rpartition(".")
        assert re.search(rf"from ({module} import|{package} import .*\b{leaf}\b)", before), name


def test_every_package_has_its_place() -> None:
    there = {path.name.removesuffix(".py") for path in PROGRAM.iterdir()}
    assert there - {"__init__", "__pycache__"} == set(ROW)


@pytest.mark.parametrize("within", ["", "def later():\n    "])
def test_an_import_of_what_stands_after_is_found(tmp_path: Path, within: str) -> None:
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "cells.py").write_text(f"{within}from rocm_images.build import run\n")
    assert upward(tmp_path) == ["plan/cells.py imports build"]
