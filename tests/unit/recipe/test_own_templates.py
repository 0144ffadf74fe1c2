"""A mistake in somebody's own template is a sentence with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from rocm_images.errors import InputError
from rocm_images.recipe import templates


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{% if %}", "1: Expected an expression"),
        ("line\n{{ unknown }}", "2: 'unknown' is undefined"),
        ("{{ 1 + 'a' }}", "1: TypeError: unsupported operand"),
        ("{{ [][3] + 1 }}", "1: list object has no element 3"),
        ("{{ 'a' | int / 0 }}", "1: ZeroDivisionError: division by zero"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str
) -> None:
    monkeypatch.setattr(templates, "OWN", tmp_path)
    (tmp_path / "Dockerfile.j2").write_text(text)
    with pytest.raises(InputError) as caught:
        templates.rendered(templates.environment(), "Dockerfile.j2")
    assert f"{tmp_path / 'Dockerfile.j2'}:{told}" in str(caught.value)
    assert str(caught.value).endswith(": mend the template")


def test_a_fault_of_the_program_is_not_blamed_on_a_template(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "OWN", tmp_path)
    (tmp_path / "a.j2").write_text("right")
    environment = templates.environment()
    monkeypatch.setattr(environment, "get_template", lambda name: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        templates.rendered(environment, "a.j2")


def test_a_template_that_is_no_text_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(templates, "OWN", tmp_path)
    for name in ("Dockerfile.j2", "catalogue.css"):
        (tmp_path / name).write_bytes(b"FROM \xff")
    with pytest.raises(InputError, match=r"templates/Dockerfile\.j2.* save it as UTF-8"):
        templates.rendered(templates.environment(), "Dockerfile.j2")
    with pytest.raises(InputError, match=r"templates/catalogue\.css.* save it as UTF-8"):
        templates.as_written("catalogue.css")
