"""The real requirements of each server resolve against PyPI, without a package for CUDA."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from real_wheels import CACHE
from rehearsal.published import (
    Published,
    Unresolvable,
    file_of,
    published,
    requirements_of,
    sources_of,
)
from rehearsal.recipe_check import Question, asked_for, questions, resolved
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of

OLDER = Question("sglang", "0.5.21", "3.10", "2.9.1", "srt_hip", "0.1.22.dev120+gacf8fdf93")


def test_what_every_cell_asks_for_resolves_without_cuda(project_matrix: Matrix) -> None:
    asked = list(questions(cells_of(project_matrix)))
    assert {name for question in asked for name in question.cells} == {
        cell.name for cell in cells_of(project_matrix)
    }
    for question in asked:
        found = resolved(question, asked_for(question))
        assert f"torch=={question.torch}+rocm" in found
        assert len(found) > 100


def test_the_extra_of_torch_below_2_11_does_not_resolve_with_2_11() -> None:
    newer = Question("sglang", "0.5.21", "3.12", "2.11.0", "srt_hip", "")
    with pytest.raises(Unresolvable, match="compressed-tensors"):
        resolved(newer, published("sglang").extras["srt_hip"][:1])


def test_a_package_for_cuda_is_named() -> None:
    with pytest.raises(Unresolvable, match=r"packages for CUDA: .*nvidia-cublas"):
        resolved(OLDER, ["nvidia-cublas-cu12"])


def test_an_extra_whose_pins_are_not_known_is_said() -> None:
    where = published("sglang")
    with pytest.raises(Unresolvable, match="'srt_hip_next' are not known here"):
        requirements_of(where, "sglang", "0.5.21", "3.10", "srt_hip_next", CACHE)


def test_an_aiter_whose_requirements_are_not_known_is_said() -> None:
    question = Question("sglang", "0.5.21", "3.10", "2.9.1", "srt_hip", "9.8.7")
    with pytest.raises(Unresolvable, match=r"AITER 9\.8\.7 are not known here"):
        asked_for(question)


def test_a_server_of_which_nothing_is_known_is_said() -> None:
    with pytest.raises(Unresolvable, match=r"servers/made-up/published\.yaml is missing"):
        published("made-up")


def test_a_release_whose_sources_pypi_has_not_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unresolvable, match=r"gives no vllm-0\.0\.0\.tar\.gz"):
        sources_of("vllm", "0.0.0", tmp_path)
    assert list(tmp_path.iterdir()) == []


def archive_with(folder: Path, *names: str) -> Path:
    path = folder / "a-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as opened:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            opened.addfile(member, io.BytesIO(name.encode()))
    return path


def test_a_file_is_taken_out_of_the_sources_with_those_beside_it_and_no_other(
    tmp_path: Path,
) -> None:
    beside = ("a-1.0/r/rocm.txt", "a-1.0/r/common.txt")
    others = ("a-1.0/setup.py", "a-1.0/r/../../escaped", "a-1.0/r/deeper/x.txt", "b/r/rocm.txt")
    archive = archive_with(tmp_path, *beside, *others)
    folder = tmp_path / "kept"
    found = file_of("r/rocm.txt", archive, folder)
    assert found.read_text() == "a-1.0/r/rocm.txt"
    taken = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert taken == set(beside)
    with pytest.raises(Unresolvable, match=r"a-1\.0\.tar\.gz has no r/cuda\.txt"):
        file_of("r/cuda.txt", archive, folder)


def test_sources_are_asked_for_by_the_file_that_lists_them(tmp_path: Path) -> None:
    archive_with(tmp_path, "a-1.0/r/rocm.txt")
    where = Published(file="r/rocm.txt")
    assert requirements_of(where, "a", "1.0", "3.12", "", tmp_path) == [
        f"-r {tmp_path / 'a-1.0' / 'r' / 'rocm.txt'}"
    ]
