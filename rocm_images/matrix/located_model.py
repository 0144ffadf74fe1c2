"""Reads a YAML file into a pydantic model and says in sentences, with places, what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rocm_images.errors import MOST_PROBLEMS, FileError, InputError, Problem, closest
from rocm_images.foreign import content_of
from rocm_images.matrix import located_yaml
from rocm_images.matrix.located_yaml import Document, KeyPath

Model = TypeVar("Model", bound=BaseModel)


def read_model(
    path: Path, model: type[Model], error_class: type[FileError], *, hint: str
) -> tuple[Model, Document]:
    """The validated content of a file, and the places of its keys and values.

    Raises:
        InputError: the file cannot be read; `hint` ends the sentence, saying what to do.
        FileError: of the given class, with every problem found.
    """
    try:
        raw = content_of(path, located_yaml.MAX_BYTES)
    except ValueError as error:
        raise error_class(path, [Problem(1, 1, str(error))]) from None
    except OSError as error:
        raise InputError(f"{path}: cannot read it ({error.strerror}): {hint}") from None
    try:
        document = located_yaml.parse(raw)
    except located_yaml.YamlProblems as error:
        raise error_class(path, error.problems) from None
    try:
        return model.model_validate(document.data), document
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems = [_problem(model, document, details) for details in found[:MOST_PROBLEMS]]
        raise error_class(path, problems, len(found) - len(problems)) from None


_WRONG_TYPES = {
    "model_type": "a mapping (lines of `key: value`)",
    "model_attributes_type": "a mapping (lines of `key: value`)",
    "dict_type": "a mapping (lines of `key: value`)",
    "tuple_type": "a list (lines that begin with `- `)",
    "string_type": "a text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
}


def _problem(model: type[BaseModel], document: Document, details: ErrorDetails) -> Problem:
    """One sentence, with its position, for one error that pydantic found."""
    loc = tuple(part for part in details["loc"] if part != "[key]")
    where = as_written(document.data, loc)
    name = where[-1] if where else "the file"
    kind = details["type"]
    on_key = kind == "extra_forbidden" or details["loc"][-1:] == ("[key]",)
    if kind == "extra_forbidden":
        known = _fields_at(model, loc[:-1])
        sentence = f"unknown key {name!r}: {closest(str(name), known)}"
    elif kind == "missing":
        sentence = f"the key {name!r} is missing here: add it"
    elif kind == "too_short":
        sentence = f"{name!r} is empty: add at least one entry"
    elif kind in _WRONG_TYPES:
        sentence = f"{name!r} must be {_WRONG_TYPES[kind]}"
    else:
        sentence = details["msg"].removeprefix("Value error, ")
    return Problem(*document.position(where, key=on_key), sentence)


def as_written(data: Any, loc: KeyPath) -> KeyPath:
    """The path without the numbers that stand for one value where a list was expected."""
    where: list[str | int] = []
    for part in loc:
        if isinstance(part, int) and isinstance(data, dict):
            continue
        where.append(part)
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            data = None
    return tuple(where)


def _fields_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """The keys that the schema knows in the mapping at `path`."""
    annotation: Any = model
    for part in path:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            fields = {info.alias or name: info for name, info in annotation.model_fields.items()}
            annotation = fields[str(part)].annotation
        else:
            annotation = [a for a in get_args(annotation) if a is not Ellipsis][-1]
        # Optional[...] and Annotated[...] wrap what is looked for.
        while get_origin(annotation) not in (dict, tuple, None):
            annotation = get_args(annotation)[0]
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [info.alias or name for name, info in annotation.model_fields.items()]
    return []
