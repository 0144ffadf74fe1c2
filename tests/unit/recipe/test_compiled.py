"""Templates that are kept compiled render to what their text says, whatever lies in the folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from jinja2 import Environment

from rocm_images.recipe import templates


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of what is kept, of a project with one template of its own."""
    monkeypatch.setattr(templates, "OWN", tmp_path)
    monkeypatch.setattr(templates, "_COMPILED", tmp_path / "kept")
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "a.j2").write_text("first {{ value }}")
    return tmp_path / "kept"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the templates that were compiled, as they are."""
    names: list[str] = []
    compile_one = Environment.compile

    def noting(self: Environment, source: str, name: str, *more: object) -> object:
        names.append(name)
        return compile_one(self, source, name, *more)  # type: ignore[call-overload]

    monkeypatch.setattr(Environment, "compile", noting)
    return names


def text() -> str:
    return templates.rendered(templates.environment(kept=True), "a.j2", value="value")


def test_a_template_is_compiled_once_for_many_runs(kept: Path, compiled: list[str]) -> None:
    assert [text(), text()] == ["first value\n", "first value\n"]
    assert compiled == ["a.j2"]
    assert len(list(kept.iterdir())) == 1


def test_a_changed_template_is_compiled_anew(kept: Path, compiled: list[str]) -> None:
    text()
    (kept.parent / "a.j2").write_text("second {{ value }}")
    assert text() == "second value\n"
    assert compiled == ["a.j2", "a.j2"]
    assert len(list(kept.iterdir())) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[:40] + bytes([content[40] ^ 1]) + content[41:],
        lambda content: b"\0" * (5 << 20),
    ],
    ids=["empty", "cut off", "altered", "too large"],
)
def test_what_is_damaged_is_compiled_anew(
    kept: Path, compiled: list[str], damage: Callable[[bytes], bytes]
) -> None:
    text()
    (file,) = kept.iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert text() == "first value\n"
    assert compiled == ["a.j2", "a.j2"]
    assert file.read_bytes() == whole


def test_another_compiler_takes_nothing_of_it(
    kept: Path, compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text()
    monkeypatch.setattr("rocm_images.recipe.compiled._COMPILER", "another")
    text()
    assert compiled == ["a.j2", "a.j2"]


def test_what_cannot_be_kept_renders_all_the_same(kept: Path, compiled: list[str]) -> None:
    kept.write_text("a file where the folder would be")
    assert [text(), text()] == ["first value\n", "first value\n"]
    assert compiled == ["a.j2", "a.j2"]


def test_nothing_is_kept_where_python_keeps_nothing(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    text()
    assert not kept.exists()


def test_what_applies_filters_of_the_program_is_not_kept(kept: Path) -> None:
    templates.rendered(templates.environment(), "a.j2", value="value")
    assert not kept.exists()
