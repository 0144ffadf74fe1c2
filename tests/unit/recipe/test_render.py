"""Dockerfiles are rendered from the matrix alone, and drift is found both ways."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from rocm_images import telling
from rocm_images.cli.main import main
from rocm_images.errors import InputError, RenderDrift
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load
from rocm_images.recipe.render import (
    Destinations,
    differences,
    render,
    rendered_files,
    stale_files,
    write,
)

MatrixFile = Callable[..., Path]
PROJECT = Path(__file__).resolve().parents[3]


def dockerfiles(matrix: Matrix) -> dict[str, str]:
    return {cell.name: text for cell, text in render(matrix, cells_of(matrix))}


def files_in(folder: Path, matrix: Matrix) -> dict[Path, str]:
    return rendered_files(matrix, cells_of(matrix), Destinations.below(folder))


def test_the_all_reduce_default_is_set_and_its_advisory_named(project_matrix: Matrix) -> None:
    texts = dockerfiles(project_matrix)
    assert 'SGLANG_USE_AITER_AR="0"' in texts["sglang-942-rocm7.2.0"]
    assert "set by the advisory hip-event-query" in texts["sglang-942-rocm7.2.0"]
    assert 'SGLANG_USE_AITER_AR="1"' in texts["sglang-942-rocm7.2.2"]
    assert "hip-event-query" not in texts["sglang-942-rocm7.2.2"]


def test_two_archs_of_a_base_share_every_line_up_to_the_first_compile(
    project_matrix: Matrix,
) -> None:
    texts = dockerfiles(project_matrix)
    for rocm in ("7.2.0", "7.2.2"):
        shared = [
            texts[f"sglang-{arch}-rocm{rocm}"].split("\n\n", 1)[1].split("# ---- aiter:")[0]
            for arch in ("942", "950")
        ]
        assert shared[0] == shared[1]


def test_a_dockerfile_does_not_know_how_it_is_built(project_matrix: Matrix) -> None:
    for text in dockerfiles(project_matrix).values():
        assert "rehears" not in text.lower().replace("a stand-in.", "")
        assert re.search(
            r"^FROM (rocm/pytorch:rocm7|ubuntu:24)\S+ AS (?:base|system)$", text, re.MULTILINE
        )


@pytest.mark.parametrize("label", ["org.opencontainers.image.version", "rocm-serving-images.gfx"])
def test_every_dockerfile_carries_labels(project_matrix: Matrix, label: str) -> None:
    for text in dockerfiles(project_matrix).values():
        assert f'{label}="' in text


def test_the_committed_files_are_what_the_matrix_renders_to(project_matrix: Matrix) -> None:
    cells = cells_of(project_matrix)
    files = rendered_files(project_matrix, cells, Destinations.beside(PROJECT / "matrix.yaml"))
    stale = stale_files(PROJECT / "images", files)
    assert differences(files, stale) == {}


def test_rendering_twice_changes_nothing(project_matrix: Matrix, tmp_path: Path) -> None:
    files = files_in(tmp_path, project_matrix)
    assert set(write(files, [])) == set(files)
    assert write(files, []) == []
    assert differences(files, []) == {}


def test_a_changed_file_shows_as_a_diff(project_matrix: Matrix, tmp_path: Path) -> None:
    files = files_in(tmp_path, project_matrix)
    write(files, [])
    changed = tmp_path / "sglang-942-rocm7.2.0" / "Dockerfile"
    changed.write_text(changed.read_text().replace('AITER_AR="0"', 'AITER_AR="1"'))
    ((path, difference),) = differences(files, []).items()
    assert path == changed
    assert '-    SGLANG_USE_AITER_AR="1"' in difference
    assert '+    SGLANG_USE_AITER_AR="0"' in difference


def test_a_missing_file_shows_as_a_diff(project_matrix: Matrix, tmp_path: Path) -> None:
    files = files_in(tmp_path, project_matrix)
    write(files, [])
    (tmp_path / "docker-bake.json").unlink()
    assert list(differences(files, [])) == [tmp_path / "docker-bake.json"]


def test_what_is_too_long_to_be_read_is_told_by_file_and_whole_by_v(
    project_matrix: Matrix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "_volume", telling.volume())
    write(files_in(tmp_path, project_matrix), [])
    words = ["render", "--check", "--output", str(tmp_path)]
    changed = sorted(tmp_path.glob("*/Dockerfile"))
    changed[0].write_text(changed[0].read_text() + "RUN one\n")
    few = CliRunner().invoke(main, words)
    assert "-RUN one\n" in few.stdout
    for path in changed:
        path.write_text(path.read_text() + "RUN one\nRUN two\n")
    many = CliRunner().invoke(main, words)
    assert isinstance(many.exception, RenderDrift)
    first, _, *rows, last = many.stdout.splitlines()
    assert first == f"{len(changed)} files differ; -v shows the differences"
    assert [row.split()[1:] for row in rows] == [["0", "3"], *[["0", "2"]] * 4]
    assert [Path(row.split()[0]).name for row in rows] == ["Dockerfile"] * 5
    assert last == f"and {len(changed) - 5} more"
    whole = CliRunner().invoke(main, [*words, "-v"])
    assert whole.stdout.count("-RUN two\n") == len(changed)


def test_a_cell_that_left_the_matrix_leaves_nothing_behind(
    project_matrix: Matrix, tmp_path: Path
) -> None:
    write(files_in(tmp_path, project_matrix), [])
    remaining = [cell for cell in cells_of(project_matrix) if cell.arch == "942"]
    files = rendered_files(project_matrix, remaining, Destinations.below(tmp_path))
    stale = stale_files(tmp_path, files)
    assert tmp_path / "sglang-950-rocm7.2.0" / "Dockerfile" in differences(files, stale)
    write(files, stale)
    assert {p.name for p in tmp_path.iterdir()} == {
        *(cell.name for cell in remaining),
        "advisories.md",
        "docker-bake.json",
    }


def test_a_dockerfile_that_is_not_ours_is_never_removed(
    project_matrix: Matrix, tmp_path: Path
) -> None:
    theirs = tmp_path / "theirs" / "Dockerfile"
    theirs.parent.mkdir()
    theirs.write_text("FROM scratch\n# Rendered by hand\n")
    assert stale_files(tmp_path, files_in(tmp_path, project_matrix)) == []


def test_a_folder_that_cannot_be_written_is_named(project_matrix: Matrix, tmp_path: Path) -> None:
    (tmp_path / "sglang-942-rocm7.2.0").write_text("a file in the way")
    with pytest.raises(InputError, match=r"sglang-942-rocm7\.2\.0.*--output"):
        write(files_in(tmp_path, project_matrix), [])


def test_the_bake_file_has_a_target_for_each_cell_and_groups(project_matrix: Matrix) -> None:
    bake = json.loads((PROJECT / "docker-bake.json").read_text())
    archs, bases = (
        [name.replace(".", "_") for name in names]
        for names in (project_matrix.archs, project_matrix.bases)
    )
    names = {
        (server, arch, base): f"{server}-{arch}-rocm{base}"
        for server in project_matrix.servers
        for arch in archs
        for base in bases
    }

    def those_with(what: str) -> list[str]:
        return [name for key, name in names.items() if what in key]

    assert list(bake["target"]) == bake["group"]["default"]["targets"] == list(names.values())
    for group in (*project_matrix.servers, "942"):
        assert bake["group"][group]["targets"] == those_with(group)
    assert bake["group"]["rocm7_2_0"]["targets"] == those_with("7_2_0")


def test_a_thousand_cells_are_rendered_each_with_its_own_default(
    matrix_file: MatrixFile,
) -> None:
    numbers = [
        f"{major}.{minor}.{patch}" for major in (7, 8) for minor in range(5) for patch in range(50)
    ]
    versions = '    python: "3.10"\n    torch: 2.9.1\n'
    bases = "".join(f"  {n}:\n    image: rocm/pytorch:r{n}\n{versions}" for n in numbers)
    block = (
        f"bases:\n  7.2.0:\n    image: rocm/pytorch:rocm7.2\n{versions}"
        f"  7.2.2:\n    image: rocm/pytorch:rocm7.2.2\n{versions}    recommended: true\n"
    )
    matrix = load(matrix_file((block, f"bases:\n{bases}")))
    texts = dockerfiles(matrix)
    assert len(texts) == 1000
    assert 'SGLANG_USE_AITER_AR="0"' in texts["sglang-942-rocm7.1.49"]
    assert 'SGLANG_USE_AITER_AR="1"' in texts["sglang-950-rocm7.2.1"]


def test_a_text_from_the_matrix_cannot_end_the_comment_it_is_in(matrix_file: MatrixFile) -> None:
    folded = '"first\\n  RUN second"'
    matrix = load(
        matrix_file(("value: 1\n        why: a reason", f"value: 1\n        why: {folded}"))
    )
    text = dockerfiles(matrix)["sglang-942-rocm7.2.2"]
    assert "# SGLANG_USE_AITER_AR: first RUN second\n" in text
