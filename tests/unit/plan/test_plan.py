"""The matrix expands to cells whose safe defaults follow from versions alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from rehearsal.bases import is_imitated
from rocm_images import telling
from rocm_images.errors import InputError, closest
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.plan.explain import explain
from rocm_images.plan.load import load
from rocm_images.plan.selection import Choice, arch_of, cell_named, cell_typed

MatrixFile = Callable[..., Path]


def by_name(matrix: Matrix) -> dict[str, Cell]:
    return {cell.name: cell for cell in cells_of(matrix)}


def test_every_arch_meets_every_base(small_matrix: Matrix) -> None:
    assert list(by_name(small_matrix)) == [
        "sglang-942-rocm7.2.0",
        "sglang-942-rocm7.2.2",
        "sglang-950-rocm7.2.0",
        "sglang-950-rocm7.2.2",
    ]


@pytest.mark.parametrize(
    ("base", "all_reduce"),
    [
        ("7.1.1", "sglang"),
        ("7.2.0", "sglang"),
        ("7.2.1", "aiter"),
        ("7.2.4", "aiter"),
        ("7.10.0", "aiter"),
        ("10.0.0", "aiter"),
    ],
)
def test_a_new_base_gets_its_all_reduce_from_the_advisory_range_alone(
    matrix_file: MatrixFile, base: str, all_reduce: str
) -> None:
    block = f"  {base}:\n    image: rocm/pytorch:rocm{base}_new\n"
    removed = ("  7.2.0:\n    image: rocm/pytorch:rocm7.2\n", "")
    cell = by_name(load(matrix_file(removed, ("bases:\n", f"bases:\n{block}"))))[
        f"sglang-942-rocm{base}"
    ]
    assert cell.all_reduce == all_reduce
    assert cell.env["SGLANG_USE_AITER_AR"] == {"aiter": "1", "sglang": "0"}[all_reduce]
    assert "hip-event-query" in cell.all_reduce_reason


# A fault of AITER's own, on every ROCm release: it turns AITER's all-reduce off as well.
AITER_FAULT = """\
advisories:
  - id: ar-exit-barrier
    component: AITER all-reduce
    affected:
      sources:
        aiter: "<1"
    symptom: garbage
    set:
      SGLANG_USE_AITER_AR: 0
    why: a reason
    references: [sgl-project/sglang#1]
"""


def test_captures_are_unsafe_by_the_runtimes_advisory_and_not_by_each_that_sets_the_variable(
    matrix_file: MatrixFile,
) -> None:
    guarded = ("    fixed_in: ROCm 7.2.1\n", "    fixed_in: ROCm 7.2.1\n    capture_guard: true\n")
    matrix = load(matrix_file(guarded, ("advisories:\n", AITER_FAULT)))
    cells = by_name(matrix)
    assert {cell.all_reduce for cell in cells.values()} == {"sglang"}
    for cell in cells.values():
        expected = cell.rocm == "7.2.0"
        assert cell.captures_are_unsafe is cell.capture_guard is expected
        assert is_imitated(matrix, cell.rocm) is expected


def test_without_the_variable_sglangs_own_default_holds(matrix_file: MatrixFile) -> None:
    text = "    env:\n      SGLANG_USE_AITER_AR:\n        value: 1\n        why: a reason\n"
    cell = by_name(load(matrix_file((text, ""))))["sglang-942-rocm7.2.2"]
    assert cell.all_reduce == "aiter"
    assert "SGLANG_USE_AITER_AR" not in cell.env
    assert cell.all_reduce_reason.startswith("SGLang's own default")


@pytest.mark.parametrize(
    ("value", "all_reduce"),
    [("TRUE", "aiter"), ("1", "aiter"), ("yes", "sglang"), ("0", "sglang"), ("False", "sglang")],
)
def test_the_variable_is_read_as_sglang_reads_it(
    matrix_file: MatrixFile, value: str, all_reduce: str
) -> None:
    cells = by_name(load(matrix_file(("value: 1", f"value: {value}"))))
    assert cells["sglang-942-rocm7.2.2"].all_reduce == all_reduce


def test_an_advisory_applies_only_to_the_archs_it_names(matrix_file: MatrixFile) -> None:
    matrix = load(matrix_file(('rocm: "<7.2.1"', 'rocm: "<7.2.1"\n      archs: [950]')))
    cells = by_name(matrix)
    assert [cells[n].all_reduce for n in ("sglang-942-rocm7.2.0", "sglang-950-rocm7.2.0")] == [
        "aiter",
        "sglang",
    ]


@pytest.mark.parametrize(("range_", "applies"), [("<0.1.20", True), ("<0.1.16", False)])
def test_all_ranges_of_an_advisory_must_hold(
    matrix_file: MatrixFile, range_: str, applies: bool
) -> None:
    matrix = load(
        matrix_file(
            ('rocm: "<7.2.1"', f'rocm: "<7.2.1"\n      sources:\n        aiter: "{range_}"')
        )
    )
    assert bool(by_name(matrix)["sglang-942-rocm7.2.0"].advisories) is applies


def test_only_the_recommended_base_has_the_short_tag(project_matrix: Matrix) -> None:
    cells = by_name(project_matrix)
    assert cells["sglang-942-rocm7.2.0"].tags == ("v0.5.21-rocm720-mi30x",)
    assert cells["sglang-942-rocm7.2.2"].tags == ("v0.5.21-rocm722-mi30x", "v0.5.21-mi30x")
    assert cells["sglang-950-rocm7.2.2"].tags == ("v0.5.21-rocm722-mi35x", "v0.5.21-mi35x")


def test_an_excluded_cell_is_not_planned(matrix_file: MatrixFile) -> None:
    matrix = load(matrix_file(("date:", "exclude: [{arch: 950, base: 7.2.0, why: x}]\ndate:")))
    assert "sglang-950-rocm7.2.0" not in by_name(matrix)
    assert len(by_name(matrix)) == 3


def test_cells_are_chosen_by_arch_and_base(project_matrix: Matrix) -> None:
    cells = cells_of(project_matrix)
    assert [c.name for c in Choice((), ("950",), ("7.2.0",)).of(project_matrix, cells)] == [
        "sglang-950-rocm7.2.0"
    ]
    default = project_matrix.default_server
    assert Choice().of(project_matrix, cells) == tuple(
        cell for cell in cells if cell.server.name == default
    )


@pytest.mark.parametrize("name", ["943", "90a", "mi300", "h100", "MI355", ""])
def test_of_an_unknown_arch_no_other_is_guessed_and_the_gpus_of_each_are_named(
    project_matrix: Matrix, name: str
) -> None:
    known = re.escape("known: 942 (MI300X, MI325X), 950 (MI350X, MI355X)")
    with pytest.raises(InputError, match=f"unknown arch '{name}': {known}$"):
        Choice((), (name,)).of(project_matrix, cells_of(project_matrix))


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (Choice((), ("942,950",)), "several are --arch 942 --arch 950"),
        (Choice((), (), ("7.2.0, 7.2.2",)), "several are --base 7.2.0 --base 7.2.2"),
        (Choice(("sglang,vllm",)), "several are --server sglang --server vllm"),
    ],
)
def test_of_several_in_one_name_it_is_said_how_they_are_written(
    project_matrix: Matrix, choice: Choice, said: str
) -> None:
    with pytest.raises(InputError, match=f"^unknown .*; {said}$"):
        choice.of(project_matrix, cells_of(project_matrix))


@pytest.mark.parametrize("name", ["7.2.3", "7.3", "7", "10", "10.0", "7.2", "1"])
def test_of_an_unknown_base_only_those_of_its_series_are_told_or_all(
    project_matrix: Matrix, name: str
) -> None:
    cells = cells_of(project_matrix)
    known = sorted({cell.rocm for cell in cells}, key=Version)
    series = [one for one in known if one.startswith(f"{name}.")]
    with pytest.raises(InputError) as refused:
        Choice((), (), (name,)).of(project_matrix, cells)
    said = str(refused.value)
    assert [one for one in known if one in said] == (series or known)
    assert ("did you mean" in said) is bool(series)
    if not series:
        assert said == f"unknown base {name!r}: known: {', '.join(known)}"


def test_spaces_around_what_is_typed_mean_nothing(project_matrix: Matrix) -> None:
    cells = cells_of(project_matrix)
    (one,) = Choice((" sglang",), (" MI355X ",), ("7.2.0\n",)).of(project_matrix, cells)
    assert one.name == "sglang-950-rocm7.2.0"


@pytest.mark.parametrize(
    "arch", ["942", "gfx942", "mi30x", "mi300x", "MI325X", "AMD Instinct MI300X"]
)
@pytest.mark.parametrize("form", ["sglang-{}-rocm7.2.0", "sglang-{}-7.2.0", " SGLang-{}-ROCm7.2.0"])
def test_a_cell_is_typed_by_any_name_of_its_arch(
    project_matrix: Matrix, form: str, arch: str
) -> None:
    assert cell_typed(cells_of(project_matrix), form.format(arch)).name == "sglang-942-rocm7.2.0"


def test_what_a_label_says_is_a_cells_own_name_alone(project_matrix: Matrix) -> None:
    with pytest.raises(InputError, match=r"did you mean 'sglang-942-rocm7\.2\.0'"):
        cell_named(cells_of(project_matrix), "sglang-mi300x-rocm7.2.0")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("sglan-mi355x-rocm7.2.0", "did you mean 'sglang-950-rocm7.2.0'?"),
        ("sglan-942-7.2.0", "did you mean 'sglang-942-rocm7.2.0'?"),
        (
            "sglang-mi300x-rocm7.2",
            "did you mean 'sglang-942-rocm7.2.0', 'sglang-942-rocm7.2.2' or "
            "'sglang-942-rocm7.2.4'?",
        ),
        # Which version is meant is not guessed.
        (
            "vllm-mi355x-rocm7.2.99",
            "known: vllm-950-rocm7.2.0, vllm-950-rocm7.2.2, vllm-950-rocm7.2.4, "
            "vllm-950-rocm10.0.0",
        ),
        # Nor which GPU.
        (
            "sglang-mi200-rocm7.2.0",
            "a cell is SERVER-ARCH-rocmBASE, and of archs these are known: 942 (MI300X, MI325X), "
            "950 (MI350X, MI355X)",
        ),
    ],
)
def test_of_a_cell_that_is_none_those_of_its_arch_are_told(
    project_matrix: Matrix, text: str, hint: str
) -> None:
    with pytest.raises(InputError) as refused:
        cell_typed(cells_of(project_matrix), text)
    assert str(refused.value) == f"unknown cell {text!r}: {hint}"


@given(
    server=st.sampled_from(["sglang", "vllm", "sglan", "v", ""]),
    arch=st.sampled_from(["942", "gfx950", "MI300X", "mi35x", "AMD Instinct MI355X"]),
    base=st.text("rocm7.210-", max_size=9),
)
def test_no_cell_of_another_arch_is_suggested(
    project_matrix: Matrix, server: str, arch: str, base: str
) -> None:
    key = arch_of(arch, project_matrix)
    try:
        named = cell_typed(cells_of(project_matrix), f"{server}-{arch}-{base}").name
    except InputError as refused:
        named = str(refused).partition("': ")[2]
    assert f"-{key}-" in named
    assert f"-{ {'942': '950', '950': '942'}[key] }-" not in named


def test_a_gpu_that_two_archs_have_names_no_cell(matrix_file: MatrixFile) -> None:
    matrix = load(matrix_file(("[AMD Instinct MI350X]", "[AMD Instinct MI300X]")))
    with pytest.raises(InputError, match="unknown cell"):
        cell_typed(cells_of(matrix), "sglang-mi300x-rocm7.2.0")


@pytest.mark.parametrize("names", [("sglan",), ("all", "sglan")])
def test_a_server_that_is_none_is_refused_beside_all_too(
    project_matrix: Matrix, names: tuple[str, ...]
) -> None:
    cells = cells_of(project_matrix)
    with pytest.raises(InputError, match="did you mean 'sglang'"):
        Choice(names).of(project_matrix, cells)
    assert Choice(("all",)).of(project_matrix, cells) == tuple(cells)


def test_a_choice_that_is_excluded_says_so(matrix_file: MatrixFile) -> None:
    matrix = load(matrix_file(("date:", "exclude: [{arch: 950, base: 7.2.0, why: x}]\ndate:")))
    with pytest.raises(InputError, match="excludes them"):
        Choice((), ("950",), ("7.2.0",)).of(matrix, cells_of(matrix))


def test_explain_names_every_setting_and_pin_with_its_reason(project_matrix: Matrix) -> None:
    cell = by_name(project_matrix)["sglang-942-rocm7.2.0"]
    text = explain(cell)
    for setting in cell.settings:
        assert f"{setting.name}={setting.value}" in text
    for name, package in project_matrix.servers["sglang"].packages.items():
        assert f"{name}=={package[0].version}" in text
    assert "advisory hip-event-query" in text
    assert "sgl-project/sglang#23581" in text
    other = explain(by_name(project_matrix)["sglang-942-rocm7.2.2"])
    assert "hip-event-query" not in other.split("Environment")[1]


def test_of_many_known_names_a_few_are_told_and_all_by_v(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "_volume", telling.Volume.NORMAL)
    known = [*(f"https://example.org/{number}.git" for number in range(20)), "sglang", "vllm"]
    few = closest("nosuch", known)
    assert few.endswith(" and 10 more (-v names all 22)")
    assert few.startswith("known: sglang, vllm, https://example.org/0.git, ")
    monkeypatch.setattr(telling, "_volume", telling.Volume.VERBOSE)
    assert closest("nosuch", known) == f"known: {', '.join(sorted(known))}"
