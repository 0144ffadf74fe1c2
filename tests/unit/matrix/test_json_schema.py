"""The JSON Schema of matrix.yaml says what the reader says, as far as a schema can."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner
from mistakes_in_matrix import ONE_MISTAKE

from rocm_images.cli.main import main
from rocm_images.matrix.json_schema import schema_text
from rocm_images.plan.load import load

PROJECT = Path(__file__).resolve().parents[3]
MatrixFile = Callable[..., Path]
VALIDATOR = jsonschema.Draft202012Validator(json.loads(schema_text()))
# What other values decide, or the calendar.
ONLY_THE_READER = (
    "a date that is none",
    "an unknown arch in an advisory",
    "an unknown server in an advisory",
    "two channels that move the same tags",
    "a budget of nothing",
    "a scanner that is not given the SBOM",
    "two allowances of one vulnerability",
    "an end of support without a reason",
    "an exclude of nothing",
    "an exclude of no cell",
    "an exclude of what is excluded",
    "an exclude of everything",
    "the same base twice",
    "two recommended bases",
    "two archs with one tag",
    "an advisory that stands twice",
    "advisories that disagree",
    "a source that the recipe needs",
    "no toolchain",
    "no installer",
    "no extra",
    "a download with a source's name",
    "an SDK without a torch",
    "a HIP of another minor release",
    "a HIP that ends before it begins",
    "two HIPs of one release",
)
# What is wrong before there is a document to check: YAML's own mistakes.
ONLY_YAML = (
    "a key that stands twice",
    "a tag that would run code",
    "a tag on a key",
    "an alias that is not defined",
    "a second document",
    "a bracket that is not closed",
    "a character that YAML forbids",
)
SEEN = sorted({*ONE_MISTAKE} - {*ONLY_THE_READER, *ONLY_YAML})


class Yaml12(yaml.SafeLoader):
    """As editors read YAML: numbers and booleans have types, dates are texts."""


Yaml12.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if not tag.endswith(":timestamp")]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def problems(text: str) -> list[str]:
    document: Any = yaml.load(text, Yaml12)
    return [error.message for error in VALIDATOR.iter_errors(document)]


def test_the_committed_schema_is_the_programs_and_is_one() -> None:
    VALIDATOR.check_schema(VALIDATOR.schema)
    assert (PROJECT / "docs" / "matrix.schema.json").read_text() == schema_text()
    assert CliRunner().invoke(main, ["schema"]).output == schema_text()


def test_the_projects_matrix_is_right_and_names_its_schema() -> None:
    text = (PROJECT / "matrix.yaml").read_text()
    assert problems(text) == []
    modeline = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert modeline
    assert (PROJECT / modeline[1]).is_file()


def test_as_many_mistakes_as_a_schema_can_see_are_seen() -> None:
    assert len(SEEN) > 20


@pytest.mark.parametrize("mistake", SEEN)
def test_what_the_reader_refuses_is_wrong(matrix_file: MatrixFile, mistake: str) -> None:
    old, new, *_ = ONE_MISTAKE[mistake]
    assert problems(matrix_file().read_text()) == []
    assert problems(matrix_file((old, new)).read_text())


@pytest.mark.parametrize("mistake", ONLY_THE_READER)
def test_what_several_values_show_is_left_to_the_reader(
    matrix_file: MatrixFile, mistake: str
) -> None:
    old, new, *_ = ONE_MISTAKE[mistake]
    assert problems(matrix_file((old, new)).read_text()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  7.2.0:\n", "  7.2:\n"),
        ("torch: 2.9.1", "torch: 2.9"),
        ("version: 0.5.21", "version: 1"),
        ("version: 0.1.19", "version: V1!2.0.post1.dev3+gabc_1"),
        ("toolchain: 1.90.0", "toolchain: 1.90"),
        ("ref: v0.5.21", "ref: 7"),
        ("value: 1", "value: 0.10"),
        ("value: 1", "value: true"),
        ("value: 1", "value: ''"),
        ("recommended: true", "recommended: 'YES'"),
        ("recommended: true", "recommended: 1"),
        ("why: a reason", "why: 42"),
        ("why: a reason", "why: >-\n          of two\n          lines"),
        ("title: SGLang for AMD GPUs", "title: 7"),
        ('"<7.2.1"', '">=7.1, <7.2.1,!=7.2.*"'),
        ('"<7.2.1"', "'~=7.2'"),
        ('rocm: "<7.2.1"', "rocm:"),
        ("affected:\n      rocm", "affected:\n      archs: [942]\n      rocm"),
        ("affected:\n      rocm", "affected:\n      releases: {vllm: '>=0.25'}\n      rocm"),
        ("image: rocm/pytorch:rocm7.2\n", f"image: localhost:5000/a/b@sha256:{'0' * 64}\n"),
        ("image: rocm/pytorch:rocm7.2\n", f"image: a:latest@sha256:{'0' * 64}\n"),
        ("advisories:\n", "exclude: [{arch: 942, base: 7.2.0, why: 1}]\nadvisories:\n"),
    ],
)
def test_what_the_reader_takes_is_right(matrix_file: MatrixFile, old: str, new: str) -> None:
    path = matrix_file((old, new))
    load(path)
    assert problems(path.read_text()) == []
