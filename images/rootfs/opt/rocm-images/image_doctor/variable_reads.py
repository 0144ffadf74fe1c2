"""Finds where Python source reads one environment variable, without importing it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass

Constant = str | bool | int | None
_OF_PYTHON = ("os", "environ")


@dataclass(frozen=True)
class Read:
    """One place that reads the variable; `default` is None where the place gives none.

    `reader` is the function of the server that is called for it.
    """

    file: str
    line: int
    function: str | None
    default: Constant
    reader: str | None = None

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


def is_read(node: ast.AST, variable: str) -> bool:
    """Whether the node itself reads the variable.

    get_bool_env_var("X"), os.getenv("X"), os.environ.get("X"), os.environ["X"], and envs.X of a
    module or a class of variables.
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
    kinds = (ast.Call, ast.Subscript, ast.Attribute)
    found = [n for n in ast.walk(tree) if isinstance(n, kinds) and is_read(n, variable)]
    enclosing = _functions(tree) if found else {}
    for node in found:
        default, reader = _default(node), _reader(node)
        yield Read(file, node.lineno, enclosing.get(node), default, reader)


def default_of(content: bytes, readers: Collection[str]) -> Constant:
    """What a reader that this file defines takes where it is given no default.

    That of its second parameter, or of the one that is called `default`.
    """
    if not any(f"def {name}(".encode() in content for name in readers):
        return None
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in readers:
            arguments, defaults = node.args.args, node.args.defaults
            missing = len(arguments) - len(defaults)
            given = list(zip(arguments[missing:], defaults, strict=True))
            by_name = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            given += [(argument, default) for argument, default in by_name if default]
            for argument, default in given:
                if argument.arg == "default" or argument in arguments[1:2]:
                    return _constant(default)
    return None


def find_declaration(tree: ast.Module, variable: str) -> Constant:
    """The default of `X = EnvBool(True)`, in a class of variables."""
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


def _default(call: ast.expr) -> Constant:
    if not isinstance(call, ast.Call):
        return None
    given = list(call.args[1:2]) + [k.value for k in call.keywords if k.arg == "default"]
    return _constant(given[0]) if given else None


def _reader(call: ast.expr) -> str | None:
    """The function of the server's own that is called; None: none, or one of Python's."""
    if not isinstance(call, ast.Call):
        return None
    *_, of, name = ["", *ast.unparse(call.func).split(".")]
    return None if of in _OF_PYTHON else name


def _constant(node: ast.expr) -> Constant:
    value = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, (str, bool, int)) else None
