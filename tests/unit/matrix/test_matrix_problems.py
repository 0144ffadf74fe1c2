"""Every mistake in a matrix is reported where it stands, in a sentence, with exit code 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from mistakes_in_matrix import ONE_MISTAKE

from rocm_images.errors import ExitCode, InputError, MatrixError
from rocm_images.plan.load import load

MatrixFile = Callable[..., Path]


@pytest.mark.parametrize("mistake", ONE_MISTAKE.values(), ids=ONE_MISTAKE)
def test_a_mistake_is_reported_where_it_stands(
    matrix_file: MatrixFile, mistake: tuple[str, str, int, int, str]
) -> None:
    old, new, line, column, sentence = mistake
    path = matrix_file((old, new))
    with pytest.raises(MatrixError) as caught:
        load(path)
    problems = {(p.line, p.column): p.sentence for p in caught.value.problems}
    assert (line, column) in problems, str(caught.value)
    assert sentence in problems[line, column]
    assert f"{path}:{line}:{column}: " in str(caught.value)
    assert caught.value.exit_code == ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    "value",
    ['"a\\nb"', '"a\\"b"', "a'b", "a$b", "a\\b", "a`b", '"a\\0b"', '"a\\tb"', '"a\\u2028b"'],
)
@pytest.mark.parametrize("place", ["value: 1", "SGLANG_USE_AITER_AR: 0"])
def test_no_value_can_break_out_of_env(matrix_file: MatrixFile, place: str, value: str) -> None:
    name = place.split(":")[0]
    with pytest.raises(MatrixError) as caught:
        load(matrix_file((place, f"{name}: {value}")))
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize("text", ['"why\\0"', '"\\e[2J"', '"\\u202e"'])
def test_no_text_can_break_out_of_a_comment(matrix_file: MatrixFile, text: str) -> None:
    with pytest.raises(MatrixError):
        load(matrix_file(("why: a reason", f"why: {text}")))


def test_several_problems_are_reported_together(matrix_file: MatrixFile) -> None:
    path = matrix_file(("gfx: gfx942", "gfx: rtx"), ("value: 1", "value: a$b"), ("0.1.19", "new"))
    with pytest.raises(MatrixError) as caught:
        load(path)
    assert [problem.line for problem in caught.value.problems] == [6, 36, 51]


def test_an_alias_that_expands_without_bound_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 12):
        members = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{members}]")
    path = tmp_path / "matrix.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(MatrixError, match="expands to more than"):
        load(path)


def test_a_file_that_is_not_utf8_is_refused_at_its_byte(tmp_path: Path) -> None:
    path = tmp_path / "matrix.yaml"
    path.write_bytes(b"image:\n  title: caf\xe9\n")
    with pytest.raises(MatrixError, match=r":2:13: byte 0xe9 is not UTF-8"):
        load(path)


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "just a text", "- a list"])
def test_a_file_without_a_matrix_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "matrix.yaml"
    path.write_text(text)
    with pytest.raises(MatrixError):
        load(path)


def test_a_file_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        load(tmp_path / "absent.yaml")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="directory"):
        load(tmp_path)


def test_a_scalar_stays_the_text_that_was_written(matrix_file: MatrixFile) -> None:
    matrix = load(matrix_file(("value: 1", "value: 1.10"), ("mi30x", "no"), ("7.2.0:", "7.20:")))
    assert matrix.servers["sglang"].env["SGLANG_USE_AITER_AR"][0].value == "1.10"
    assert matrix.archs["942"].family == "no"
    assert "7.20" in matrix.bases


def test_an_alias_stands_for_what_it_names(matrix_file: MatrixFile) -> None:
    matrix = load(
        matrix_file(("[AMD Instinct MI300X]", "&gpus [A, B]"), ("[AMD Instinct MI350X]", "*gpus"))
    )
    assert matrix.archs["950"].gpus == ("A", "B")


def test_a_range_that_matches_no_base_is_knowledge_for_later(matrix_file: MatrixFile) -> None:
    matrix = load(matrix_file(("<7.2.1", "<6.0")))
    assert matrix.advisories[0].affected.rocm == "<6.0"


@pytest.mark.parametrize("keys", ["".join(f"key{n}: x\n" for n in range(500)), "date: x\n" * 500])
def test_a_file_of_another_kind_is_told_of_in_a_hundred_lines(
    matrix_file: MatrixFile, keys: str
) -> None:
    with pytest.raises(MatrixError) as raised:
        load(matrix_file(("date: 2026-11-24", f"date: 2026-11-24\n{keys}")))
    lines = str(raised.value).splitlines()
    assert 100 <= len(lines) <= 101


def test_more_cells_than_anyone_builds_are_refused_before_they_are_made(
    matrix_file: MatrixFile,
) -> None:
    archs = "".join(
        f"  {n:x}: {{gfx: gfx{n:x}, family: f{n:x}, gpus: [a GPU]}}\n" for n in range(4096, 5200)
    )
    bases = "".join(
        f'  8.0.{n}: {{image: "rocm/pytorch:{n}", python: "3.10", torch: 2.9.1}}\n'
        for n in range(10)
    )
    with pytest.raises(MatrixError, match="makes 13272 cells, more than 10000: keep a matrix for"):
        load(matrix_file(("archs:\n", f"archs:\n{archs}"), ("bases:\n", f"bases:\n{bases}")))
