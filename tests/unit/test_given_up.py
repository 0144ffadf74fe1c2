"""Whoever runs a child has a bound for its answer, and catches all for which it is given up."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator

import pytest

from rocm_images import streams
from rocm_images.streams import GivenUp, TookTooLong, TooMuch
from rocm_images.supervisor import Supervisor
from terminals import PROJECT

CALL = "supervisor.run("
FOLDERS = ("rocm_images", "rehearsal", "benchmarks", "emulation", "docs")


def caught_by(node: ast.Try) -> set[str]:
    """The names of the exceptions that a statement catches."""
    types = [one.type for one in node.handlers if one.type is not None]
    return {name.id for one in types for name in ast.walk(one) if isinstance(name, ast.Name)}


def _runs(node: ast.Call) -> bool:
    return ast.unparse(node).startswith(CALL)


def careless(node: ast.AST, caught: frozenset[str] = frozenset()) -> Iterator[int]:
    """The lines that call `supervisor.run` where a child may be given up and nobody catches it."""
    if isinstance(node, ast.Call) and _runs(node) and "GivenUp" not in caught:
        yield node.lineno
    within = caught | caught_by(node) if isinstance(node, ast.Try) else caught
    for name, field in ast.iter_fields(node):
        for child in field if isinstance(field, list) else [field]:
            if isinstance(child, ast.AST):
                # What a statement catches is raised in its body, and not where it handles it.
                yield from careless(child, within if name == "body" else caught)


def test_every_caller_catches_all_for_which_a_child_is_given_up() -> None:
    sources = [path for one in FOLDERS for path in sorted((PROJECT / one).rglob("*.py"))]
    calls = {
        str(path.relative_to(PROJECT)): text
        for path in sources
        if CALL in (text := path.read_text())
    }
    assert {"rocm_images/registry/cosign.py", "rehearsal/root.py"} <= set(calls)
    assert sum(text.count(CALL) for text in calls.values()) > 12
    found = {name: list(careless(ast.parse(text))) for name, text in calls.items()}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    ("caught", "lines"),
    [("TookTooLong", [3]), ("(OSError, TooMuch)", [3]), ("(OSError, GivenUp)", [])],
)
def test_a_caller_that_catches_a_part_is_found(caught: str, lines: list[int]) -> None:
    called = "try:\n  with waiting_for(x):\n    done = supervisor.run(y)\nexcept {}:\n  pass"
    assert list(careless(ast.parse(called.format(caught)))) == lines
    handled = "try:\n  pass\nexcept {}:\n  supervisor.run(y)"
    assert list(careless(ast.parse(handled.format(caught)))) == [4]


def test_both_reasons_are_one_to_whoever_catches_them() -> None:
    assert {TookTooLong, TooMuch} == set(GivenUp.__subclasses__())


@pytest.mark.parametrize("asked", [Supervisor.run, streams.read])
def test_whoever_names_no_bound_has_one(asked: object) -> None:
    assert callable(asked)
    assert inspect.signature(asked).parameters["most"].default == streams.MOST_BYTES
