"""The same inputs give the same image, byte for byte, whoever builds it and whenever."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest
from four_cells import MATRIX

from conftest import Answer
from layer_differences import differences
from rehearsal import stand_ins
from rocm_images.engine.buildx import BuildRequest, Buildx, command
from rocm_images.engine.images import BUILD_ID, INPUTS
from rocm_images.places import ROOTFS
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.recipe.build_id import files_of
from rocm_images.recipe.render import render

AGAIN = "sglang-rocm:built-again-{}-rehearsal"


def somebody_elses(folder: Path, to: Path) -> Path:
    """The same files in another checkout: made at another time, under another umask."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [to, *to.rglob("*")]:
        os.chmod(path, path.stat().st_mode & 0o700)  # noqa: PTH101 - of a link it is the target's
        os.utime(path, (1_000_000_000, 1_000_000_000))
    assert files_of(to) == files_of(folder)
    return to


@pytest.fixture
def built_again(
    rolling: Answer, buildx: Buildx, client: docker.DockerClient, tmp_path: Path
) -> Iterator[dict[str, str]]:
    """By cell, the id of an image that was built without any cache from another checkout."""
    rootfs = somebody_elses(ROOTFS, tmp_path / "rootfs")
    sources = somebody_elses(stand_ins.FOLDER / "sources", tmp_path / "sources")

    def build(given: tuple[Cell, str]) -> tuple[str, str]:
        cell, dockerfile = given
        (tmp_path / cell.name).write_text(dockerfile)
        labels = client.images.get(rolling.summary[cell.name]["image_id"]).labels
        contexts = {
            name: source.replace(str(stand_ins.FOLDER / "sources"), str(sources))
            for name, source in stand_ins.Rehearsal().replaced(MATRIX, cell).items()
        }
        request = BuildRequest(
            dockerfile=tmp_path / cell.name,
            directory=rootfs,
            references=(AGAIN.format(cell.name),),
            contexts=contexts,
            labels={**stand_ins.LABELS, **{name: labels[name] for name in (BUILD_ID, INPUTS)}},
            log=tmp_path / f"{cell.name}.log",
            build_args={"SOURCE_DATE_EPOCH": str(cell.epoch)},
            layers=MATRIX.layers,
        )
        words = command(buildx, request)
        words.insert(words.index("build") + 1, "--no-cache")
        done = subprocess.run(
            words, env=dict(buildx.environment), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return cell.name, client.images.get(request.references[0]).id

    with ThreadPoolExecutor(max_workers=4) as pool:
        ids = dict(pool.map(build, render(MATRIX, cells_of(MATRIX))))
    yield ids
    for cell in ids:
        client.images.remove(AGAIN.format(cell))


def test_every_image_built_again_without_a_cache_has_the_same_digest(
    rolling: Answer, built_again: dict[str, str], client: docker.DockerClient
) -> None:
    assert len(built_again) == 4
    for cell, image_id in built_again.items():
        first = rolling.summary[cell]["image_id"]
        assert image_id == first, "\n".join(differences(client, first, image_id))


def test_the_date_of_an_image_and_of_its_files_is_the_matrix_s(
    rehearsed: Answer, client: docker.DockerClient
) -> None:
    image = client.images.get(rehearsed.summary["sglang-942-rocm7.2.2"]["image_id"])
    assert image.attrs["Created"].startswith(f"{MATRIX.date}T00:00:00")
    assert {entry["Created"] for entry in image.history()[:3]} == {MATRIX.epoch}


def test_a_difference_between_two_images_is_named(
    rehearsed: Answer, client: docker.DockerClient
) -> None:
    one, other = (
        rehearsed.summary[f"sglang-{arch}-rocm7.2.2"]["image_id"] for arch in ("942", "950")
    )
    lines = differences(client, one, other)
    assert any("opt/rocm-images/image.json" in line for line in lines)
    assert not any(line.startswith("layer") and "graph_probe" in line for line in lines)
    assert differences(client, one, one) == []
