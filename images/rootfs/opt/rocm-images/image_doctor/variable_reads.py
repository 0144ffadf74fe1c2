"""Finds where Python source reads one environment variable, without importing it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

# What SGLang's get_bool_env_var answers where no default is given.
_DEFAULT_OF_READER = {"get_bool_env_var": "false"}


@dataclass(frozen=True)
class Read:
    """One place that reads the variable; `default` is None where the place gives none."""

    file: str
    line: int
    function: str | None
    default: str | bool | int | None

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


def is_read(node: ast.AST, variable: str) -> bool:
    """Whether the node itself reads the variable.

    get_bool_env_var("X"), os.getenv("X"), os.environ.get("X"), os.environ["X"], and envs.X of
    SGLang's environ.py.
    """
    if isinstance(node, ast.Call):
        return _called(node).startswith("get") and bool(node.args) and _is_text(
            node.args[0], variable
        )  # fmt: skip
    if isinstance(node, ast.Subscript):
        of_environment = isinstance(node.value, ast.Attribute) and node.value.attr == "environ"
        loads = isinstance(node.ctx, ast.Load)
        return of_environment and loads and _is_text(node.slice, variable)
    if isinstance(node, ast.Attribute):
        return node.attr == variable and isinstance(node.ctx, ast.Load)
    return False


def find_reads(file: str, tree: ast.Module, variable: str) -> Iterator[Read]:
    """Every read of the variable in one module, in the order of its lines."""
    enclosing = _functions(tree)
    for node in ast.walk(tree):
        if isinstance(node, (ast.Call, ast.Subscript, ast.Attribute)) and is_read(node, variable):
            default = _default(node) if isinstance(node, ast.Call) else None
            yield Read(file, node.lineno, enclosing.get(node), default)


def find_declaration(tree: ast.Module, variable: str) -> str | bool | int | None:
    """The default of `X = EnvBool(True)` in a class, as SGLang's environ.py has it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
            if variable in names and node.value.args:
                return _constant(node.value.args[0])
    return None


def _functions(tree: ast.Module) -> dict[ast.AST, str]:
    """Node -> the innermost function that it is in."""
    found: dict[ast.AST, str] = {}
    for function in ast.walk(tree):  # outer functions come first, inner ones overwrite
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.update(dict.fromkeys(ast.walk(function), function.name))
    return found


def _called(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _is_text(node: ast.expr, text: str) -> bool:
    return isinstance(node, ast.Constant) and node.value == text


def _default(call: ast.Call) -> str | bool | int | None:
    given = list(call.args[1:2]) + [k.value for k in call.keywords if k.arg == "default"]
    return _constant(given[0]) if given else _DEFAULT_OF_READER.get(_called(call))


def _constant(node: ast.expr) -> str | bool | int | None:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, (str, bool, int)) else None
