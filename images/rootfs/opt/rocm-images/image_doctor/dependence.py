"""Says whether what a function returns depends on an environment variable, by its source alone.

A name is tainted where it was assigned from an expression that reads the variable, or inside a
branch that such an expression decides. The function depends on the variable where it returns
something tainted, or where a tainted branch returns what no other path does. A variable that is
read but only logged decides nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from image_doctor.variable_reads import is_read

Function = ast.FunctionDef | ast.AsyncFunctionDef


def find_function(tree: ast.Module, name: str) -> Function | None:
    """The function of that name, at any depth of a module."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            return node
    return None


def module_names(tree: ast.Module, variable: str) -> set[str]:
    """The module's own names that carry the variable: constants read from it, and readers of it."""
    tainted: set[str] = set()
    _spread(tree.body, variable, tainted)
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and any(
            is_read(inner, variable) for inner in ast.walk(node)
        ):
            tainted.add(node.name)
    return tainted


def depends(function: Function, variable: str, carriers: Iterable[str]) -> bool:
    """Whether the function's returned value depends on the variable.

    `carriers` are names from outside of the function that carry it (see `module_names`).
    """
    tainted = set(carriers) - {function.name}
    while True:  # a name may be used above the line that taints it, in a loop
        before = len(tainted)
        _spread(function.body, variable, tainted)
        if len(tainted) == before:
            break
    returns = [node for node in ast.walk(function) if isinstance(node, ast.Return)]
    if any(node.value and _is_tainted(node.value, variable, tainted) for node in returns):
        return True
    for branch in ast.walk(function):
        if isinstance(branch, ast.If) and _is_tainted(branch.test, variable, tainted):
            for side in (branch.body, branch.orelse):
                inside = {node for line in side for node in ast.walk(line)}
                decided = {_text(node) for node in returns if node in inside}
                others = {_text(node) for node in returns if node not in inside}
                if decided - others:
                    return True
    return False


def _spread(body: list[ast.stmt], variable: str, tainted: set[str], decided: bool = False) -> None:
    """Add the names that the statements of `body` taint; `decided`: a tainted branch holds them."""
    for line in body:
        if isinstance(line, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        if isinstance(line, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            if line.value and (decided or _is_tainted(line.value, variable, tainted)):
                targets = line.targets if isinstance(line, ast.Assign) else [line.target]
                tainted.update(target.id for target in targets if isinstance(target, ast.Name))
            continue
        test = getattr(line, "test", None)
        inner = decided or (test is not None and _is_tainted(test, variable, tainted))
        for field in ("body", "orelse", "finalbody"):
            _spread(getattr(line, field, []), variable, tainted, inner)
        for handler in getattr(line, "handlers", []):
            _spread(handler.body, variable, tainted, inner)


def _is_tainted(expression: ast.expr, variable: str, tainted: set[str]) -> bool:
    return any(
        is_read(node, variable) or (isinstance(node, ast.Name) and node.id in tainted)
        for node in ast.walk(expression)
    )


def _text(node: ast.Return) -> str:
    return ast.dump(node.value) if node.value else ""
