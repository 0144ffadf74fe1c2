"""Says whether what a function returns depends on an environment variable, by its source alone.

A name is tainted where it was assigned from an expression that reads the variable, or inside a
branch that such an expression decides. So is an attribute of a class, in its body or by `cls.` and
`self.`. The function depends on the variable where it returns something tainted, or where a tainted
branch returns what no other path does. A variable that is read but only logged decides nothing.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from image_doctor.variable_reads import is_read

_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


class Function(NamedTuple):
    """A function, and the class that it is a method of."""

    node: ast.FunctionDef | ast.AsyncFunctionDef
    of: str | None


def functions(tree: ast.Module) -> Iterator[Function]:
    """Every function of a module, at any depth."""
    owners: dict[ast.AST, str] = {}
    for node in ast.walk(tree):  # outer classes come first, inner ones overwrite
        if isinstance(node, ast.ClassDef):
            owners.update(dict.fromkeys(ast.walk(node), node.name))
    for node in ast.walk(tree):
        if isinstance(node, _FUNCTION):
            yield Function(node, owners.get(node))


def find_function(tree: ast.Module, name: str) -> Function | None:
    """The function of that name, at any depth of a module."""
    return next((one for one in functions(tree) if one.node.name == name), None)


def carriers_of(tree: ast.Module, variable: str) -> set[str]:
    """What of a module carries the variable outside of a function.

    Constants read from it and readers of it, by name; those of a class as `Class.name`.
    """
    tainted: set[str] = set()
    methods = [one for one in functions(tree) if one.of]
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    for function in [*(Function(n, None) for n in tree.body if isinstance(n, _FUNCTION)), *methods]:
        if any(is_read(inner, variable) for inner in ast.walk(function.node)):
            tainted.add(_name(function.node.name, function.of))
    while True:  # what is used may be assigned further down
        before = len(tainted)
        _spread(tree.body, _Taint(variable, tainted, None))
        for node in classes:
            inside = set(tainted)
            _spread(node.body, _Taint(variable, inside, None))
            tainted |= {_name(name, node.name) for name in inside - tainted if "." not in name}
        for method in methods:
            inside = set(tainted)
            _spread(method.node.body, _Taint(variable, inside, method.of))
            tainted |= {name for name in inside if name.startswith(f"{method.of}.")}
        if len(tainted) == before:
            return tainted


def depends(function: Function, variable: str, carriers: Iterable[str]) -> bool:
    """Whether the function's returned value depends on the variable.

    `carriers` are those from outside of the function (see `carriers_of`).
    """
    node = function.node
    taint = _Taint(variable, set(carriers) - {_name(node.name, function.of)}, function.of)
    while True:  # a name may be used above the line that taints it, in a loop
        before = len(taint.names)
        _spread(node.body, taint)
        if len(taint.names) == before:
            break
    returns = [inner for inner in ast.walk(node) if isinstance(inner, ast.Return)]
    if any(one.value and taint.has(one.value) for one in returns):
        return True
    for branch in ast.walk(node):
        if isinstance(branch, ast.If) and taint.has(branch.test):
            for side in (branch.body, branch.orelse):
                inside = {inner for line in side for inner in ast.walk(line)}
                decided = {_text(one) for one in returns if one in inside}
                others = {_text(one) for one in returns if one not in inside}
                if decided - others:
                    return True
    return False


class _Taint(NamedTuple):
    variable: str
    names: set[str]
    of: str | None
    """The class that `cls` and `self` are of."""

    def name_of(self, node: ast.AST) -> str | None:
        if isinstance(node, ast.Name):
            return node.id
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            base = node.value.id
            return _name(node.attr, self.of if base in ("cls", "self") else base)
        return None

    def has(self, expression: ast.expr) -> bool:
        return any(
            is_read(node, self.variable) or self.name_of(node) in self.names
            for node in ast.walk(expression)
        )


def _spread(body: list[ast.stmt], taint: _Taint, decided: bool = False) -> None:
    """Add what the statements of `body` taint; `decided`: a tainted branch holds them."""
    for line in body:
        if isinstance(line, (*_FUNCTION, ast.ClassDef)):
            continue
        if isinstance(line, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            if line.value and (decided or taint.has(line.value)):
                targets = line.targets if isinstance(line, ast.Assign) else [line.target]
                taint.names.update(filter(None, map(taint.name_of, targets)))
            continue
        test = getattr(line, "test", None)
        inner = decided or (test is not None and taint.has(test))
        for field in ("body", "orelse", "finalbody"):
            _spread(getattr(line, field, []), taint, inner)
        for handler in getattr(line, "handlers", []):
            _spread(handler.body, taint, inner)


def _name(name: str, of: str | None) -> str:
    return f"{of}.{name}" if of else name


def _text(node: ast.Return) -> str:
    return ast.dump(node.value) if node.value else ""
