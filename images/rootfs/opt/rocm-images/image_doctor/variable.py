"""Reads a server's source: where its all-reduce variable is read, its default, what it decides.

The images rest on that variable: a release that renames or drops it would make the setting do
nothing, silently.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from image_doctor.dependence import depends, find_function, module_names
from image_doctor.source_tree import python_files
from image_doctor.variable_reads import Read, find_declaration, find_reads
from image_servers import Server


@dataclass(frozen=True)
class Finding:
    """What the source says; `problem` is a sentence, or None where the variable does its work."""

    reads: tuple[Read, ...] = ()
    default: bool | None = None
    dispatch: str | None = None
    problem: str | None = None


def examine(place: Path, server: Server) -> Finding:
    """Examine a checkout, a package folder or a wheel. Raises source_tree.NoSource."""
    variable, dispatcher = server.all_reduce.name, server.all_reduce.dispatch
    modules: dict[str, ast.Module] = {}
    for name, content in python_files(place, server.package):
        if variable.encode() in content or f"def {dispatcher}".encode() in content:
            try:
                modules[name] = ast.parse(content)
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                return Finding(problem=f"{name} is no Python that can be read here: {error}")
    reads = tuple(r for name, tree in modules.items() for r in find_reads(name, tree, variable))
    dispatches = {
        name: function
        for name, tree in modules.items()
        if (function := find_function(tree, dispatcher)) is not None
    }
    dispatch = next((f"{n}:{f.lineno}" for n, f in dispatches.items()), None)
    if not reads:
        there = f", though {dispatcher} is at {dispatch}" if dispatch else ""
        return Finding(dispatch=dispatch, problem=f"nothing reads {variable}{there}")
    default = _default(reads, modules, variable)
    places = ", ".join(read.place for read in reads)
    if not dispatches:
        problem = f"{variable} is read at {places}, but there is no {dispatcher} any more"
        return Finding(reads, default, None, problem)
    carriers = {name for tree in modules.values() for name in module_names(tree, variable)}
    if not any(depends(function, variable, carriers) for function in dispatches.values()):
        problem = (
            f"{variable} is read at {places}, but what {dispatcher} ({dispatch}) returns does "
        )
        return Finding(reads, default, dispatch, problem + "not depend on it")
    return Finding(reads, default, dispatch)


def _default(reads: tuple[Read, ...], modules: dict[str, ast.Module], variable: str) -> bool | None:
    """The default as get_bool_env_var reads it; None where the source gives none."""
    given = [read.default for read in reads]
    given += [find_declaration(tree, variable) for tree in modules.values()]
    for value in given:
        if value is not None:
            return str(value).lower() in ("true", "1")
    return None
