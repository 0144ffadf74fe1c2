"""Every block of YAML in the documents is what the program, GitHub or GitLab would take."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from markdown_it import MarkdownIt
from pydantic import BaseModel, TypeAdapter

from rocm_images.cli.main import main
from rocm_images.lock.file import Lock
from rocm_images.matrix.schema import Advisory, Base, Budget, Channel, Layers, Ranges, Scan, Source

PROJECT = Path(__file__).resolve().parents[2]
WORKFLOWS = PROJECT / ".github" / "workflows"
PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
# What begins like YAML and is none: the line in which a run names its engine.
NO_YAML = {"engine"}


def blocks() -> dict[str, str]:
    """By its place: fenced ones, and indented ones that begin with a key."""
    found = {}
    for page in PAGES:
        # Lines of logs begin with a word and a colon, too.
        if page.name == "crashes.md":
            continue
        for token in MarkdownIt("commonmark").enable("table").parse(page.read_text()):
            key = re.match(r"(?:- )?([\w.-]+):(?: |$)", token.content.partition("\n")[0])
            plain = token.type == "code_block" and key and key[1] not in NO_YAML
            if plain or (token.type == "fence" and token.info.strip() in ("yaml", "yml")):
                found[f"{page.name}:{(token.map or [0])[0] + 1}"] = token.content
    return found


def sources(part: dict[str, Any]) -> None:
    names = {field.alias or name for name, field in Source.model_fields.items()}
    for variant in (one for variants in part["sources"].values() for one in variants):
        assert set(variant) <= names
        Ranges.model_validate(variant.get("for", {}))


def lock(part: dict[str, Any]) -> None:
    Lock.model_validate({**part, "bases": {}, "sources": {}})


def gitlab(part: dict[str, Any]) -> None:
    """Its commands are understood; tests/pipeline/test_gitlab_example.py runs them."""
    scripts = [line for job in part.values() if "script" in job for line in job["script"]]
    assert scripts
    for words in (shlex.split(line.partition(" > ")[0]) for line in scripts if "build.py" in line):
        # A variable is a registry, or options.
        given = [
            word
            for word in words[words.index("build.py") + 1 :]
            if word not in ("$MATRIX_OPTIONS", "$PUSH")
        ]
        arguments = [re.sub(r"^\$.*", "registry.example.org", word) for word in given]
        verb = "build" if arguments[0].startswith("-") else arguments.pop(0)
        main.commands[verb].make_context(verb, arguments)


def github(part: dict[str, Any]) -> None:
    """A workflow of another repository that calls one of ours gives it the inputs that it takes."""
    for job in part["jobs"].values():
        _, _, name = job["uses"].partition("/.github/workflows/")
        called = yaml.safe_load((WORKFLOWS / name.partition("@")[0]).read_text())
        # YAML 1.1 reads the key `on` as true.
        inputs = called[True]["workflow_call"]["inputs"]
        needed = {name for name, one in inputs.items() if one.get("required")}
        assert needed <= set(job.get("with", {})) <= set(inputs)


def of(key: str, model: Any) -> Callable[[Any], object]:
    return lambda part: TypeAdapter(model).validate_python(part[key])


def parts_of(key: str, model: type[BaseModel]) -> Callable[[Any], None]:
    """Blocks by their names, of which a page may show some keys: each is known and fits."""

    def check(part: Any) -> None:
        for block in part[key].values():
            for name, value in block.items():
                field = model.model_fields[name]
                if "..." not in str(value):
                    TypeAdapter(Annotated[field.annotation, field]).validate_python(value)

    return check


# What a block has of these says what it is.
BY_KEY: dict[str, Callable[[Any], object]] = {
    "schema": lock,
    "stages": gitlab,
    "jobs": github,
    "sources": sources,
    "bases": parts_of("bases", Base),
    "channels": parts_of("channels", Channel),
    "layers": of("layers", Layers),
    "budget": of("budget", Budget),
    "command": lambda part: Scan.model_validate({**part, "at_most": "none"}),
    "id": TypeAdapter(tuple[Advisory, ...]).validate_python,
}
# A lock has these two of its own.
OF_A_LOCK = {"bases", "sources"}


@pytest.mark.parametrize(("place", "text"), blocks().items(), ids=list(blocks()))
def test_a_block_of_yaml_is_what_it_is_shown_as(place: str, text: str) -> None:
    # Without places that a reader fills in; 0 is text, as it is where matrix.yaml is read.
    short = re.sub(r"^ *\.\.\.\n", "", text, flags=re.MULTILINE)
    part = yaml.load(short, Loader=yaml.BaseLoader)
    keys = part[0] if isinstance(part, list) else part
    others = OF_A_LOCK if "schema" in keys else set()
    known = [check for key, check in BY_KEY.items() if key in keys and key not in others]
    if not known and "script" in next(iter(keys.values())):
        known = [gitlab]
    assert known, f"{place}: say in BY_KEY of {Path(__file__).name} what checks it"
    for check in known:
        check(part)


def test_a_wrong_part_is_refused() -> None:
    for key, part in (
        ("bases", {"bases": {"7.2.9": {"image": "rocm/pytorch:x", "pyhton": "3.10"}}}),
        ("bases", {"bases": {"7.2.9": {"torch": "two"}}}),
        ("channels", {"channels": {"stable": {"evidence": "rumour"}}}),
        ("layers", {"layers": {"compresion": "zstd"}}),
        ("sources", {"sources": {"sglang": [{"versoin": 1}]}}),
        ("jobs", {"jobs": {"a": {"uses": "o/r/.github/workflows/cell.yml@v1", "with": {"no": 1}}}}),
    ):
        with pytest.raises((ValueError, AssertionError, KeyError)):
            BY_KEY[key](part)
