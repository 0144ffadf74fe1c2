"""docs/advisories.md says of each advisory what it sets, and of which images it is true."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rocm_images.matrix.schema import Advisory, Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load
from rocm_images.recipe.advisories_page import advisories_page
from rocm_images.servers import SERVERS

MatrixFile = Callable[..., Path]


def one(**affected: Any) -> Advisory:
    return Advisory.model_validate(
        {
            "id": "one",
            "component": "c",
            "affected": affected,
            "symptom": "s",
            "why": "w",
            "references": ["ROCm/aiter#1"],
        }
    )


def applies_to(page: str) -> str:
    (line,) = (line for line in page.splitlines() if line.startswith("| [one]"))
    return line.strip("| ").split(" | ")[-1]


@pytest.mark.parametrize(
    ("affected", "told"),
    [
        ({}, "every image"),
        ({"rocm": "<7.2.1"}, "every image on ROCm 7.2.0"),
        ({"archs": ["950"]}, "every image for arch 950"),
        (
            {"rocm": ">=7.2.2,<8", "archs": ["942"]},
            "every image for arch 942 on ROCm 7.2.2, 7.2.4",
        ),
        ({"servers": ["vllm"]}, "every image of vLLM"),
        (
            {"sources": {"vllm": "<0.27"}, "archs": ["942"]},
            "every image of vLLM for arch 942 on ROCm 7.2.0, 7.2.2, 7.2.4",
        ),
        ({"sources": {"vllm": ">=0.27"}, "archs": ["950"]}, "vllm-950-rocm10.0.0"),
        (
            {"releases": {"vllm": ">=0.27"}},
            "every image of SGLang; every image of vLLM on ROCm 10.0.0",
        ),
        ({"rocm": ">11"}, "no image"),
    ],
)
def test_the_images_that_an_advisory_applies_to_are_told_by_a_rule(
    project_matrix: Matrix, affected: dict[str, Any], told: str
) -> None:
    matrix = project_matrix.model_copy(update={"advisories": (one(**affected),)})
    assert applies_to(advisories_page(matrix, cells_of(matrix))) == told


def test_images_that_no_rule_tells_are_named(project_matrix: Matrix) -> None:
    advisory = one()
    matrix = project_matrix.model_copy(update={"advisories": (advisory,)})
    names = {"sglang-942-rocm7.2.0", "sglang-950-rocm7.2.2", *(c for c in _of(matrix, "vllm"))}
    cells = [
        replace(cell, advisories=(advisory,) if cell.name in names else ())
        for cell in cells_of(matrix)
    ]
    told = "sglang-942-rocm7.2.0, sglang-950-rocm7.2.2; every image of vLLM"
    assert applies_to(advisories_page(matrix, cells)) == told


def _of(matrix: Matrix, server: str) -> set[str]:
    return {cell.name for cell in cells_of(matrix) if cell.server.name == server}


def test_what_a_release_must_read_to_be_set_is_said_beside_it(project_matrix: Matrix) -> None:
    page = advisories_page(project_matrix, cells_of(project_matrix))
    assert "| `SGLANG_USE_AITER_AG=0` |" in page
    told = "`VLLM_ROCM_USE_AITER_CUSTOM_AR=0` (vLLM from 0.25.0 on)"
    # In the table, and below it.
    for begin in ("| [hip-event-query](", "- Sets `SGLANG_USE_AITER_AR=0` (SGLang from"):
        assert told in next(line for line in page.splitlines() if line.startswith(begin))


def test_ranges_of_servers_are_told_by_their_titles(project_matrix: Matrix) -> None:
    affected = {"sources": {"aiter": "<1"}, "releases": {"vllm": ">=0.25"}, "archs": ["942"]}
    matrix = project_matrix.model_copy(update={"advisories": (one(**affected),)})
    page = advisories_page(matrix, cells_of(matrix))
    assert "\nc, aiter <1, of vLLM only >=0.25, arch 942.\n" in page


def test_no_component_repeats_the_server_that_its_ranges_name(project_matrix: Matrix) -> None:
    repeated = [
        advisory.id
        for advisory in project_matrix.advisories
        for name in {*advisory.affected.servers, *advisory.affected.sources} & SERVERS.keys()
        if SERVERS[name].title in advisory.component
    ]
    assert repeated == []


def test_no_sentence_of_an_advisory_can_write_the_page(matrix_file: MatrixFile) -> None:
    matrix = load(matrix_file(("symptom: a crash", 'symptom: "<b>a</b> [crash](x)"')))
    assert r"- Symptom: &lt;b>a&lt;/b> \[crash](x)." in advisories_page(matrix, cells_of(matrix))


def test_references_lead_to_what_they_name_where_they_name_a_place(project_matrix: Matrix) -> None:
    named = ("ROCm/aiter#1", "https://example.org/a", "aiter#2")
    advisory = one().model_copy(update={"references": named})
    matrix = project_matrix.model_copy(update={"advisories": (advisory,)})
    page = advisories_page(matrix, cells_of(matrix))
    told = "[ROCm/aiter#1](https://github.com/ROCm/aiter/issues/1), "
    told += "[https://example.org/a](https://example.org/a), aiter#2."
    assert page.rstrip().endswith(f"- Remedy: w.\n- References: {told}")
