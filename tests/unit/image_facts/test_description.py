"""image.json has one reader, and each way it can be wrong is an error of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from image_facts.description import (
    CaptureBug,
    Facts,
    FactsError,
    NoFile,
    NotAnObject,
    NotReadable,
    WrongFact,
    read,
    read_or_empty,
)
from image_facts.hip_builds import HipBuild
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.recipe.facts import image_json


def test_what_the_recipe_writes_is_what_is_read(project_matrix: Matrix, tmp_path: Path) -> None:
    path = tmp_path / "image.json"
    for cell in cells_of(project_matrix):
        path.write_text(image_json(project_matrix, cell))
        facts = read(path)
        assert (facts.cell, facts.gfx, facts.rocm) == (cell.name, cell.gfx, cell.rocm)
        assert facts.server_version == cell.version
        assert (facts.env, facts.capture_guard) == (cell.env, cell.capture_guard)
        assert list(facts.warnings) == [advisory.id for advisory in cell.warnings]
        assert facts.capture_bug == CaptureBug(
            cell.capture_guard, "7.2.1", "sgl-project/sglang#23581"
        )
        assert HipBuild((7, 2, 53211), (7, 2, 1), (7, 2, 4)) in facts.hip_builds


def test_a_version_that_is_not_said_is_none() -> None:
    assert Facts().server_version is None
    assert Facts(server="vllm", versions={"amd-aiter": "0.1.19"}).server_version is None


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        (None, NoFile, "there is no "),
        ("{", NotReadable, "cannot be read as JSON"),
        ("\x00", NotReadable, "cannot be read as JSON"),
        ("[" * 100_000, NotReadable, "levels deep"),
        ('{"gfx": NaN}', NotReadable, "NaN is no number"),
        ('{"gfx": "\\ud800"}', NotReadable, "surrogates not allowed"),
        ('{"a": "' + "x" * (4 << 20) + '"}', NotReadable, "more than 4 MiB"),
        ('{"rocm": "newest"}', WrongFact, '"rocm" is "newest", not a release'),
        ("[]", NotAnObject, "no JSON object"),
        ('{"gfx": 942}', WrongFact, '"gfx" is 942, not a text'),
        ('{"env": ["A=1"]}', WrongFact, '"env" is \\["A=1"\\], not an object'),
        ('{"env": {"A": 1}}', WrongFact, '"A" is 1, not a text'),
        ('{"capture_guard": "yes"}', WrongFact, "not true or false"),
        ('{"capture_bug": {"here": 1}}', WrongFact, '"here" is 1, not true or false'),
        ('{"hip_builds": {}}', WrongFact, "not a list"),
        ('{"hip_builds": ["7.2.53211"]}', WrongFact, "not an object"),
        ('{"hip_builds": [{"hip": "7.2.53211"}]}', WrongFact, "names no releases"),
    ],
)
def test_each_way_to_be_wrong_is_said_with_the_file(
    text: str | None, error: type[FactsError], said: str, tmp_path: Path
) -> None:
    path = tmp_path / "image.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(error, match=said) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert read_or_empty(path) == Facts()


def test_an_older_image_lacks_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "image.json"
    path.write_text('{"cell": "sglang-942-rocm7.2.0", "gfx": "gfx942"}')
    facts = read(path)
    assert (facts.gfx, facts.rocm, facts.capture_bug, facts.hip_builds) == (
        "gfx942",
        None,
        None,
        (),
    )
