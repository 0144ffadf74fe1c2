"""What a node that has one release pulls of the next: layers of SGLang's own, by digest."""

from __future__ import annotations

import shutil
from pathlib import Path

import docker
import four_cells
import pytest

from conftest import PROJECT, Answer, run_build_py
from rocm_images.engine.layers import Layer, layers_of
from rocm_images.plan.cells import cells_of
from rocm_images.recipe.render import render

NAME = "sglang-942-rocm7.2.2"
CELL = ("--rehearse", "--no-smoke", "--arch", "942", "--base", "7.2.2")
((_, DOCKERFILE),) = render(
    four_cells.MATRIX, [cell for cell in cells_of(four_cells.MATRIX) if cell.name == NAME]
)


def layers(client: docker.DockerClient, answer: Answer) -> tuple[Layer, ...]:
    assert answer.code == 0, answer.stderr
    return layers_of(client, answer.summary[NAME]["image_id"], DOCKERFILE)


def later(folder: Path, **replaced: str) -> dict[str, str]:
    """An environment with the matrix of a later release."""
    text = four_cells.PATH.read_text()
    for old, new in {f"date: {four_cells.MATRIX.date}": "date: 2027-01-31", **replaced}.items():
        assert old in text
        text = text.replace(old, new)
    path = folder / "matrix.yaml"
    path.write_text(text)
    return {"ROCM_IMAGES_MATRIX": str(path)}


def test_a_later_date_alone_changes_no_layer(
    rehearsed: Answer, client: docker.DockerClient, tmp_path: Path
) -> None:
    again = run_build_py(*CELL, environment=later(tmp_path))
    assert layers(client, again) == layers(client, rehearsed)
    image = client.images.get(again.summary[NAME]["image_id"])
    assert image.attrs["Created"].startswith("2027-01-31T00:00:00")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The source of another SGLang, which requires the same and has the same kernels."""
    folder = shutil.copytree(PROJECT / "rehearsal" / "sources" / "sglang", tmp_path / "sglang")
    with (folder / "python/sglang/srt/__init__.py").open("a") as module:
        module.write("\nANOTHER_RELEASE = True\n")
    return folder


def test_another_sglang_changes_its_own_layer_and_the_facts(
    rehearsed: Answer, client: docker.DockerClient, source: Path, tmp_path: Path
) -> None:
    environment = later(tmp_path, **{" version: 0.5.21\n": " version: 0.5.21.post1\n"})
    built = run_build_py(*CELL, "--context", f"sglang-src={source}", environment=environment)
    before, after = layers(client, rehearsed), layers(client, built)
    pairs = list(zip(before, after, strict=True))
    changed = [new for old, new in pairs if old.digest != new.digest]
    assert [layer.stage for layer in changed] == ["server", "serving"]
    assert "image.json" in changed[1].step
    # It lies on all that did not change: what is unpacked stays unpacked.
    unchanged = [old.stage for old, new in pairs[: after.index(changed[0])] if old == new]
    assert {"base", "deps", "kernels"} <= set(unchanged)
    assert len(unchanged) == after.index(changed[0])
