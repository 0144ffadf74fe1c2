"""Reads a server's source: where what chooses its all-reduce is read, its default, what it decides.

The images rest on these variables: a release that renames or drops one would make the setting do
nothing, silently.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from image_doctor.dependence import carriers_of, depends, find_function
from image_doctor.source_tree import python_files
from image_doctor.variable_reads import Constant, Read, default_of, find_declaration, find_reads
from image_servers import Server


@dataclass(frozen=True)
class Finding:
    """What the source says of one variable; `problem` is a sentence, or None where it works."""

    variable: str
    reads: tuple[Read, ...] = ()
    default: bool | None = None
    dispatch: str | None = None
    problem: str | None = None
    readable: bool = True
    """Whether Python can read what it stands in."""


def examine(place: Path, server: Server) -> tuple[Finding, ...]:
    """Examine a checkout, a package folder or a wheel.

    Returns:
        Of the variable that chooses the all-reduce, then of what that requires besides.

    Raises:
        NoSource: there is no such package (source_tree.NoSource).
    """
    variables = server.all_reduce.name, *(one.name for one in server.all_reduce.requires)
    dispatcher = server.all_reduce.dispatch
    wanted = re.compile(rf"\b(?:{'|'.join(variables)}|def {dispatcher})\b".encode())
    modules: dict[str, ast.Module] = {}
    for name, content in python_files(place, server.package):
        if wanted.search(content):
            try:
                modules[name] = ast.parse(content)
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                problem = f"{name} is no Python that can be read here: {error}"
                return (Finding(variables[0], problem=problem, readable=False),)
    return tuple(_find(place, server, modules, variable) for variable in variables)


def _find(place: Path, server: Server, modules: dict[str, ast.Module], variable: str) -> Finding:
    dispatcher = server.all_reduce.dispatch
    reads = tuple(r for name, tree in modules.items() for r in find_reads(name, tree, variable))
    dispatches = {
        name: function
        for name, tree in modules.items()
        if (function := find_function(tree, dispatcher)) is not None
    }
    dispatch = next((f"{n}:{f.node.lineno}" for n, f in dispatches.items()), None)
    if not reads:
        there = f", though {dispatcher} is at {dispatch}" if dispatch else ""
        problem = f"nothing reads {variable}{there}"
        return Finding(variable, dispatch=dispatch, problem=problem)
    default = _default(place, server, reads, modules, variable)
    places = ", ".join(read.place for read in reads)
    if not dispatches:
        problem = f"{variable} is read at {places}, but there is no {dispatcher} any more"
        return Finding(variable, reads, default, None, problem)
    files = {read.file for read in reads}
    carriers = {name for file in files for name in carriers_of(modules[file], variable)}
    if not any(depends(function, variable, carriers) for function in dispatches.values()):
        problem = (
            f"{variable} is read at {places}, but what {dispatcher} ({dispatch}) returns does "
        )
        return Finding(variable, reads, default, dispatch, problem + "not depend on it")
    return Finding(variable, reads, default, dispatch)


def _default(
    place: Path,
    server: Server,
    reads: tuple[Read, ...],
    modules: dict[str, ast.Module],
    variable: str,
) -> bool | None:
    """The default as servers read it; None where the source gives none."""
    given: list[Constant] = [read.default for read in reads]
    given += [find_declaration(tree, variable) for tree in modules.values()]
    if all(value is None for value in given):
        readers = {read.reader for read in reads if read.reader}
        given += [
            default_of(content, readers) for _, content in python_files(place, server.package)
        ]
    for value in given:
        if value is not None:
            return str(value).lower() in ("true", "1")
    return None
