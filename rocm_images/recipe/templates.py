"""The templates: the project's own, file by file, in place of the program's."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

from jinja2 import (
    Environment,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateSyntaxError,
)

from rocm_images import telling
from rocm_images.errors import InputError
from rocm_images.places import INSTALLED, PROJECT, TEMPLATES
from rocm_images.recipe.compiled import Compiled

OWN = PROJECT / "templates"
"""The program's too, in a checkout."""
_COMPILED = None if INSTALLED else PROJECT / ".cache" / "templates"
"""None: an installed program works in anybody's folder, and runs no code that lies there."""


def environment(below: str = "", *, autoescape: bool = False, kept: bool = False) -> Environment:
    """What renders the templates of one folder.

    Args:
        below: the folder, below templates/.
        autoescape: for HTML; elsewhere types and filters see to it that no text breaks out.
        kept: compiled once for many runs, in a checkout; for templates that use no filter of the
            program.
    """
    own, program = OWN / below, TEMPLATES / below
    if own != program:
        for path in sorted(own.rglob("*")):
            if path.is_file() and (program / path.relative_to(own)).is_file():
                telling.decided(f"template: {path}, in place of the program's")
    settings: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True}
    return Environment(
        loader=FileSystemLoader([own, program]),
        undefined=StrictUndefined,
        **settings,
        bytecode_cache=(
            Compiled(_COMPILED, f"{settings} {autoescape}") if kept and _COMPILED else None
        ),
        # No template changes while one process renders ten thousand cells.
        auto_reload=False,
        autoescape=autoescape,
    )


def rendered(environment: Environment, name: str, **values: object) -> str:
    """The text of one template, with one line break at its end.

    Raises:
        InputError: somebody's own template is wrong; it names the file and line.
    """
    try:
        return environment.get_template(name).render(**values).rstrip("\n") + "\n"
    except UnicodeDecodeError as error:
        raise _no_text(name, error) from None
    except TemplateError as error:
        raise InputError(f"{_place(error, name)}: {error.message}: mend the template") from None
    except Exception as error:
        # What an expression of a template does wrong; whatever else is a fault of the program.
        place = _place(error, name)
        if place == name:
            raise
        told = f"{place}: {type(error).__name__}: {error}: mend the template"
        raise InputError(told) from None


def as_written(name: str) -> str:
    """A file beside the templates that is none itself: a style sheet, a script.

    Raises:
        InputError: somebody's own is no text.
    """
    own, program = OWN / name, TEMPLATES / name
    try:
        return (own if own.is_file() else program).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise _no_text(name, error) from None


def _no_text(name: str, error: UnicodeDecodeError) -> InputError:
    return InputError(f"templates/{name}, or what it includes: {error}: save it as UTF-8")


def _place(error: Exception, name: str) -> str:
    """The file and line that an error is in: Jinja has them in the traceback."""
    if isinstance(error, TemplateSyntaxError):
        return f"{error.filename or name}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    inside = [frame for frame in frames if Path(frame.filename).suffix == ".j2"]
    return f"{inside[-1].filename}:{inside[-1].lineno}" if inside else name
