"""The same inputs give the same image, byte for byte, whoever builds it and whenever."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import four_cells
import pytest
from checkouts import Checkout
from four_cells import MATRIX

from layer_differences import differences
from rehearsal import stand_ins
from rocm_images.engine.buildx import BuildRequest, Buildx, command
from rocm_images.engine.images import BUILD_ID, INPUTS
from rocm_images.places import ROOTFS
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.recipe.build_id import files_of
from rocm_images.recipe.labels import annotations_of, labels_of
from rocm_images.recipe.render import render

# A build beside one without a cache may repeat steps, too.
pytestmark = pytest.mark.images
AGAIN = "sglang-rocm:built-again-{}-rehearsal"
ARCH = "950"
"""Of one arch both bases; an image of the other arch is built on two engines by
test_several_machines.py."""


def somebody_elses(folder: Path, to: Path) -> Path:
    """The same files in another checkout: made at another time, under another umask."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("__pycache__"))
    for path in [to, *to.rglob("*")]:
        os.chmod(path, path.stat().st_mode & 0o700)  # noqa: PTH101 - of a link it is the target's
        os.utime(path, (1_000_000_000, 1_000_000_000))
    assert files_of(to) == files_of(folder)
    return to


@pytest.fixture(scope="module")
def first(elsewhere: Checkout) -> Mapping[str, str]:
    """By cell, the id of the image that everybody here uses."""
    answer = elsewhere.build_py("--arch", ARCH, "--rehearse", "--no-smoke")
    assert answer.code == 0, answer.stderr
    return {name: cell["image_id"] for name, cell in answer.summary.items()}


@pytest.fixture
def built_again(
    first: Mapping[str, str], buildx: Buildx, client: docker.DockerClient, tmp_path: Path
) -> Iterator[dict[str, str]]:
    """By cell, the id of an image that was built without any cache from another checkout."""
    rootfs = somebody_elses(ROOTFS, tmp_path / "rootfs")
    sources = somebody_elses(stand_ins.FOLDER / "sources", tmp_path / "sources")

    def build(given: tuple[Cell, str]) -> tuple[str, str]:
        cell, dockerfile = given
        (tmp_path / cell.name).write_text(dockerfile)
        labels = client.images.get(first[cell.name]).labels
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
            annotations=annotations_of({**labels_of(cell), **stand_ins.LABELS}),
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

    chosen = [cell for cell in cells_of(MATRIX) if cell.name in first]
    with ThreadPoolExecutor(max_workers=len(chosen)) as pool:
        ids = dict(pool.map(build, render(MATRIX, chosen)))
    yield ids
    for cell in ids:
        client.images.remove(AGAIN.format(cell))


def test_images_built_again_without_a_cache_have_the_same_digests(
    first: Mapping[str, str], built_again: dict[str, str], client: docker.DockerClient
) -> None:
    assert len(built_again) == len(first) == len(four_cells.BASES)
    for cell, image_id in built_again.items():
        assert image_id == first[cell], "\n".join(differences(client, first[cell], image_id))


def test_the_date_of_an_image_and_of_its_files_is_the_matrix_s(
    first: Mapping[str, str], client: docker.DockerClient
) -> None:
    for image in map(client.images.get, first.values()):
        assert image.attrs["Created"].startswith(f"{MATRIX.date}T00:00:00")
        assert {entry["Created"] for entry in image.history()[:3]} == {MATRIX.epoch}


@pytest.fixture
def small(buildx: Buildx, client: docker.DockerClient, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The ids of two images of one file that is the same and one that is not.

    Of an image of ours the engine takes seconds to hand out what is in it.
    """
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY same /\nCOPY changed /folder/\n")
    (tmp_path / "same").write_text("same")
    references = [f"sglang-rocm:small-{which}-rehearsal" for which in ("one", "other")]
    for reference in references:
        (tmp_path / "changed").write_text(reference)
        request = BuildRequest(
            dockerfile=tmp_path / "Dockerfile",
            directory=tmp_path,
            references=(reference,),
            contexts={},
            labels={},
            log=tmp_path / "log",
            layers=MATRIX.layers,
        )
        words = command(buildx, request)
        subprocess.run(words, env=dict(buildx.environment), check=True, capture_output=True)
    one, other = (str(client.images.get(reference).id) for reference in references)
    yield one, other
    for reference in references:
        client.images.remove(reference)


def test_a_difference_between_two_images_is_named(
    small: tuple[str, str], client: docker.DockerClient
) -> None:
    one, other = small
    lines = differences(client, one, other)
    assert any(line.startswith("layer 1: folder/changed: ") for line in lines)
    assert not any(line.startswith("layer 0: ") for line in lines)
    assert any(line.startswith("config: rootfs: ") for line in lines)
    assert differences(client, one, one) == []
