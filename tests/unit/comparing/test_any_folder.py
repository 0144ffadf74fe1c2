"""`diff` compares images of anybody's in any folder, whatever lies there as matrix.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from made_up_engine import made_up_engine
from rocm_images.build.site import RealSite
from rocm_images.cli.main import main
from rocm_images.comparing import inside
from rocm_images.comparing.facts import ImageFacts


@pytest.fixture
def asked(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Mapping[str, str]]]:
    """The recipes that each image is looked at with; the engine has any image."""
    found: list[Mapping[str, str]] = []

    def facts_of(_: Any, reference: str, __: Path, recipes: Mapping[str, str]) -> ImageFacts:
        found.append(recipes)
        nothing: dict[str, Any] = {"packages": {}, "labels": {}, "env": {}}
        return ImageFacts(reference, "", "sha256:0", False, **nothing, advisories=(), layers=())

    monkeypatch.setattr(inside, "facts_of", facts_of)
    with made_up_engine(tmp_path_factory.mktemp("engine") / "docker.sock") as engine:
        engine.answers["GET /images/"] = lambda _: (200, {"Id": "sha256:0"})
        monkeypatch.setattr(RealSite, "engine", lambda _: engine.engine)
        yield found


def diff(*words: str, matrix: Path | None = None, monkeypatch: pytest.MonkeyPatch) -> Any:
    if matrix:
        command: Any = main.get_command(click.Context(main), "diff")
        option = next(one for one in command.params if one.name == "matrix_path")
        monkeypatch.setattr(option, "default", matrix)
    return CliRunner().invoke(main, ["diff", "old", "new", *words])


@pytest.mark.parametrize(
    "text", ["include:\n  - os: linux\n", "{", "", "\x00"], ids=["other's", "broken", "none", "no"]
)
def test_a_matrix_that_nobody_named_ends_no_comparison(
    text: str,
    asked: list[Mapping[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    matrix = tmp_path / "matrix.yaml"
    matrix.write_text(text)
    done = diff(matrix=matrix, monkeypatch=monkeypatch)
    assert done.exit_code == 0, done.exception
    assert "note: the stages of layers are not known" in done.stderr
    assert asked == [{}, {}]
    # One that was named is wanted.
    named = diff("--matrix", str(matrix), monkeypatch=monkeypatch)
    assert named.exit_code != 0
    assert str(matrix) in str(named.exception)


def test_a_matrix_that_can_be_used_says_the_recipes(
    asked: list[Mapping[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = diff(monkeypatch=monkeypatch)
    assert done.exit_code == 0, done.exception
    assert asked[0]
    assert "not known" not in done.stderr
