"""An entry says what the matrix, the evidence and the registry's manifest say, and no more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import ValidationError

from made_up_catalogue import entry, evidence, manifest
from rocm_images.engine.run_flags import AS_DEPLOYED
from rocm_images.errors import InputError
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell, EnvironmentSetting, cells_of
from rocm_images.plan.selection import cell_named
from rocm_images.smoke.evidence import Level


@pytest.fixture
def cell(project_matrix: Matrix) -> Cell:
    return cell_named(cells_of(project_matrix), "sglang-942-rocm7.2.0")


def test_settings_are_those_that_advisories_set(project_matrix: Matrix, cell: Cell) -> None:
    found = entry(cell)
    settings = {setting.name: (setting.value, setting.advisory) for setting in found.settings}
    assert settings["SGLANG_USE_AITER_AR"] == ("0", "hip-event-query")
    assert "SGLANG_MOE_PADDING" not in settings
    assert found.all_reduce.default == "sglang"
    assert "hip-event-query" in found.all_reduce.reason


def test_a_setting_of_several_advisories_is_each_ones(cell: Cell) -> None:
    shared = EnvironmentSetting("A", "0", "why", (), "hip-event-query", also=("roctracer",))
    found = entry(replace(cell, settings=(shared,))).settings
    assert [(one.name, one.advisory) for one in found] == [
        ("A", "hip-event-query"),
        ("A", "roctracer"),
    ]


def test_every_advisory_is_there_and_the_cells_warnings_are_marked(
    project_matrix: Matrix, cell: Cell
) -> None:
    found = entry(cell)
    assert [issue.id for issue in found.known_issues] == [a.id for a in cell.advisories]
    assert [issue.id for issue in found.warnings] == [a.id for a in cell.warnings]
    assert found.warnings
    assert not entry(cell_named(cells_of(project_matrix), "sglang-950-rocm7.2.2")).warnings


def test_the_size_is_that_of_the_compressed_layers(project_matrix: Matrix, cell: Cell) -> None:
    found = entry(cell)
    assert found.size == 12_450_000_000
    assert [layer.digest for layer in found.layers] == [
        layer["digest"] for layer in manifest(cell)["layers"]
    ]


def test_devices_are_counted_by_name(project_matrix: Matrix, cell: Cell) -> None:
    assert entry(cell, level=Level.GPU).tested_on.devices == ("2 x a made-up GPU (gfx942)",)


def test_how_the_container_ran_is_told_of_a_gpu_alone(project_matrix: Matrix, cell: Cell) -> None:
    assert entry(cell, level=Level.GPU).tested_on.ran_as == AS_DEPLOYED
    older = replace(evidence(cell, Level.GPU), ran_as=None)
    assert entry(cell, evidence=older).tested_on.ran_as is None
    assert entry(cell, level=Level.EMULATED).tested_on.ran_as is None


def test_what_no_device_ran_is_not_known(project_matrix: Matrix, cell: Cell) -> None:
    found = entry(cell, level=Level.STATIC).tested_on
    assert (found.level, found.devices) == (Level.STATIC, ())
    assert (found.runtime, found.capture, found.judgement) == (None, None, None)


@pytest.mark.parametrize(
    ("character", "recorded"),
    [
        ("\u200b", "\\u200b"),
        ("\ufeff", "\\ufeff"),
        ("\u00ad", "\\xad"),
        ("\ue000", "\\ue000"),
        ("\u0378", "\\u0378"),
        ("\U000f0000", "\\U000f0000"),
        ("\u00e9", "\\xe9"),
        ("\u202e", "\\u202e"),
        ("\ud800", "\\ud800"),
        ("\x1b", "\\u001b"),
        ("\x7f", "\\u007f"),
        ("\u2028", ""),
        ("\u00a0", ""),
        ("~", "~"),
    ],
)
def test_a_step_of_any_base_is_recorded_as_ascii(cell: Cell, character: str, recorded: str) -> None:
    found = entry(cell, steps=[f"RUN echo a{character}b"] * len(manifest(cell)["layers"]))
    shown = recorded or " "
    assert {one.step for one in found.layers} == {f"RUN echo a{shown}b"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"manifests": []},
        {"layers": [{"digest": "sha256:short", "size": 1}]},
        {"layers": [{"digest": "sha256:" + "0" * 64, "size": -1}]},
        {"layers": 3},
    ],
)
def test_an_index_is_no_manifest_of_an_image(
    project_matrix: Matrix, cell: Cell, wrong: dict[str, object]
) -> None:
    with pytest.raises(InputError, match="no image manifest"):
        entry(cell, manifest=wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"digest": "sha256:abc"},
        {"repository": "registry.example.org/a; rm -rf /"},
        {"repository": "no-host"},
        {"tags": ["-v"]},
        {"build_id": "../x"},
        {"published": "yesterday"},
        {"channel": "line\nbreak"},
    ],
)
def test_no_text_that_ends_up_in_a_command_can_hold_another(
    project_matrix: Matrix, cell: Cell, wrong: dict[str, object]
) -> None:
    with pytest.raises(ValidationError):
        entry(cell, **wrong)
