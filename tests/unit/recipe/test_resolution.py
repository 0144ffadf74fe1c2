"""The real requirements of each SGLang resolve against PyPI, without a package for CUDA."""

from __future__ import annotations

import pytest

from real_wheels import CACHE
from rehearsal.recipe_check import (
    OF_EXTRA,
    Question,
    Unresolvable,
    questions,
    requirements_of,
    resolved,
    wheel_of,
)
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of

OLDER = Question("0.5.21", "3.10", "2.9.1", "srt_hip", ())


def test_what_every_cell_asks_for_resolves_without_cuda(project_matrix: Matrix) -> None:
    asked = list(questions(cells_of(project_matrix)))
    assert {name for question in asked for name in question.cells} == {
        cell.name for cell in cells_of(project_matrix)
    }
    for question in asked:
        wheel = wheel_of(question.version, question.python, CACHE)
        found = resolved(question, requirements_of(wheel, question.extra))
        assert f"torch=={question.torch}+rocm" in found
        assert len(found) > 100


def test_the_extra_of_torch_below_2_11_does_not_resolve_with_2_11() -> None:
    newer = Question("0.5.21", "3.12", "2.11.0", "srt_hip", ())
    with pytest.raises(Unresolvable, match="compressed-tensors"):
        resolved(newer, OF_EXTRA["srt_hip"][:1])


def test_a_package_for_cuda_is_named() -> None:
    with pytest.raises(Unresolvable, match=r"packages for CUDA: .*nvidia-cublas"):
        resolved(OLDER, ["nvidia-cublas-cu12"])


def test_an_extra_whose_pins_are_not_known_is_said() -> None:
    with pytest.raises(Unresolvable, match="'srt_hip_next' are not known here"):
        requirements_of(wheel_of("0.5.21", "3.10", CACHE), "srt_hip_next")
