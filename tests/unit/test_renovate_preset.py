"""The preset for Renovate finds every base and every source of a matrix, and changes them whole.

By Python's own expressions, which are Renovate's but for how a group is named; Renovate itself is
asked by `make renovate-check`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rehearsal.renovate_check import PRESET, expected, found_in
from rocm_images.matrix.begin import begin
from rocm_images.plan.load import load

PROJECT = Path(__file__).resolve().parents[2]
MANAGERS: dict[str, dict[str, Any]] = {
    one["depTypeTemplate"]: one for one in json.loads(PRESET.read_text())["customManagers"]
}


def expression(kind: str) -> re.Pattern[str]:
    (text,) = MANAGERS[kind]["matchStrings"]
    return re.compile(text.replace("(?<", "(?P<"))


def found(text: str) -> list[tuple[str, ...]]:
    names = {
        "matrix-base": lambda one: (one["depName"], one["currentValue"]),
        "matrix-source": lambda one: (one["packageName"], f"v{one['currentValue']}"),
        "matrix-commit": lambda one: (one["packageName"], one["currentDigest"]),
    }
    assert names.keys() == MANAGERS.keys()
    return sorted(
        named(one) for kind, named in names.items() for one in expression(kind).finditer(text)
    )


@pytest.fixture(params=["ours", "begun"])
def matrix(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "ours":
        return PROJECT / "matrix.yaml"
    begin(tmp_path, "rocm-images")
    return tmp_path / "matrix.yaml"


def test_every_base_and_every_source_is_found_once(matrix: Path) -> None:
    wanted = expected(load(matrix))
    assert len(wanted) > 10
    assert found(matrix.read_text()) == wanted


def test_what_is_written_otherwise_is_missed_and_seen(matrix_file: Callable[..., Path]) -> None:
    path = matrix_file()
    # One of its sources is written in one line.
    missed = ("https://a.org/f", "46efb7d776d38638fc39f3c803eaee3dd7016bd1")
    assert set(expected(load(path))) - set(found(path.read_text())) == {missed}


def test_a_release_is_taken_with_the_version_that_it_reports(tmp_path: Path) -> None:
    text = (PROJECT / "matrix.yaml").read_text()
    template = MANAGERS["matrix-source"]["autoReplaceStringTemplate"]

    def taken(one: re.Match[str]) -> str:
        fields = {**one.groupdict(), "newValue": "0.999.0"}
        return re.sub(r"\{\{\{(\w+)\}\}\}", lambda field: fields[field[1]], template)

    assert expression("matrix-source").sub(lambda one: one[0], text) == text
    (tmp_path / "matrix.yaml").write_text(expression("matrix-source").sub(taken, text))
    before, after = (text.splitlines(), (tmp_path / "matrix.yaml").read_text().splitlines())
    changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
    assert {line.split(":")[0].strip() for pair in changed for line in pair} == {"ref", "version"}
    assert {b.split(":")[1].strip() for _, b in changed} == {"v0.999.0", "0.999.0"}
    for server in load_unchecked(tmp_path / "matrix.yaml"):
        for one in server:
            assert one.ref in (f"v{one.version}", one.ref if len(one.ref) == 40 else "")


def load_unchecked(path: Path) -> list[list[Any]]:
    """The sources of each server; whether a variant fits what was taken is the matrix's to say."""
    from rocm_images.errors import MatrixError
    from rocm_images.matrix.located_model import read_model
    from rocm_images.matrix.schema import Matrix

    matrix, _ = read_model(path, Matrix, MatrixError, hint="")
    return [
        [one for variants in server.sources.values() for one in variants]
        for server in matrix.servers.values()
    ]


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ("ubuntu:24.04", ("ubuntu", "24.04", None)),
        ("r.example.org:5000/a/b:1", ("r.example.org:5000/a/b", "1", None)),
        (f"a/b:1@sha256:{'0' * 64}", ("a/b", "1", f"sha256:{'0' * 64}")),
        (f"a/b@sha256:{'0' * 64}", ("a/b", None, f"sha256:{'0' * 64}")),
    ],
)
def test_an_image_of_any_registry_is_found(written: str, named: tuple[str | None, ...]) -> None:
    one = expression("matrix-base").search(f"  7.2.0:\n    image: {written}\n")
    assert one
    assert (one["depName"], one["currentValue"], one["currentDigest"]) == named


def test_a_base_is_held_to_rocms_version_alone(matrix: Path) -> None:
    rule = json.loads(PRESET.read_text())["packageRules"][0]
    assert rule["matchDepTypes"] == ["matrix-base"]
    versioning = re.compile(rule["versioning"].removeprefix("regex:").replace("(?<", "(?P<"))
    asked = re.compile(rule["matchCurrentValue"].strip("/"))
    bases = [one.image.rpartition(":")[2] for one in load(matrix).bases.values()]
    read = [versioning.fullmatch(tag) for tag in bases if asked.search(tag)]
    assert len(read) == len([tag for tag in bases if "rocm" in tag]) > 2
    assert len({one and one["compatibility"] for one in read}) == 1


def test_a_log_that_says_nothing_of_what_was_found_is_no_success() -> None:
    with pytest.raises(ValueError, match="says nothing"):
        found_in('{"msg": "Repository started"}\n')
    line = {
        "packageFiles": {
            "regex": [
                {
                    "deps": [
                        {"depType": "matrix-base", "packageName": "a", "currentValue": "1"},
                        {"depType": "matrix-commit", "packageName": "c", "currentDigest": "2"},
                        {"depType": "matrix-source", "packageName": "b", "currentValue": "3"},
                    ]
                }
            ]
        }
    }
    assert found_in(json.dumps(line)) == [("a", "1"), ("b", "v3"), ("c", "2")]
