"""Reads and writes catalogue.json: whole or not at all, and with sentences for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from rocm_images import foreign
from rocm_images.catalogue.schema import SCHEMA, Catalogue
from rocm_images.errors import InputError
from rocm_images.files import write_whole
from rocm_images.telling import counted

SHOWN_PROBLEMS = 5
FETCH = "python build.py catalogue --registry ADDRESS --key cosign.pub"


def read(path: Path) -> Catalogue:
    """The catalogue in a file.

    Raises:
        InputError: it cannot be read, is no catalogue, or is of a newer schema.
    """
    return parse(content_of(path), str(path))


def content_of(path: Path) -> bytes:
    """The bytes of a catalogue, or of its signature.

    Raises:
        InputError: they cannot be read, or are too many.
    """
    try:
        return foreign.content_of(path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot read the catalogue ({error.strerror}): fetch it by `{FETCH}`, or name "
            "the catalogue.json that was published with the images"
        ) from None
    except ValueError as error:
        raise InputError(f"{path}: this is no catalogue: {error}") from None


def parse(content: bytes, name: str) -> Catalogue:
    """The catalogue of that text; `name` begins the sentence of an error.

    Raises:
        InputError: it is no catalogue, or of a newer schema.
    """
    try:
        document = foreign.parsed(content)
    except ValueError as error:
        raise InputError(f"{name}: this is no catalogue: it is no JSON ({error})") from None
    version = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise InputError(f"{name}: this is no catalogue: it has no schema version")
    if version > SCHEMA:
        raise InputError(
            f"{name}: this catalogue has schema {version}, and this program knows {SCHEMA}: take a "
            "newer version of the program"
        )
    if version == 1:
        content = json.dumps(_of_schema_2(document)).encode()
    try:
        return Catalogue.model_validate_json(content)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        lines = [
            f"{name}: {_place(problem['loc'])}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in problems[:SHOWN_PROBLEMS]
        ]
        if len(problems) > SHOWN_PROBLEMS:
            more = counted(len(problems) - SHOWN_PROBLEMS, "more problem")
            lines.append(f"{name}: and {more}")
        lines.append("docs/catalogue.md describes the schema")
        raise InputError("\n".join(lines)) from None


def _of_schema_2(document: dict[str, object]) -> dict[str, object]:
    """A catalogue of schema 1, which was about SGLang alone, as schema 2 has it."""
    changed: dict[str, object] = {**document, "schema": 2}
    for key in ("images", "history"):
        entries = document.get(key)
        if isinstance(entries, list):
            changed[key] = [_entry_of_schema_2(one) for one in entries]
    return changed


def _entry_of_schema_2(entry: object) -> object:
    if not isinstance(entry, dict):
        return entry
    changed: dict[str, object] = {
        **entry,
        "server": "sglang",
        "cell": f"sglang-{entry.get('cell')}",
    }
    changed["version"] = changed.pop("sglang", None)
    changed["components"] = {"aiter": changed.pop("aiter", None)}
    return changed


def write(path: Path, catalogue: Catalogue) -> None:
    """Write a catalogue; a reader sees the whole of the old one or the whole of the new one.

    Raises:
        InputError: the file cannot be written; the old one is as it was.
    """
    write_whole(path, text_of(catalogue))


def text_of(catalogue: Catalogue) -> str:
    """catalogue.json."""
    return catalogue.model_dump_json(indent=2, by_alias=True) + "\n"


def _place(location: tuple[int | str, ...]) -> str:
    """Where in the file, as `images[0].digest`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the file"
