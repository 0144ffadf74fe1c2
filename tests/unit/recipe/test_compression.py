"""What is asked of buildx for a compression, and which compressions are one to the build id."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rocm_images.matrix.schema import Layers, Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.recipe.compression import identity, output
from rocm_images.recipe.labels import annotations_of, labels_of
from rocm_images.recipe.render import Destinations, rendered_files


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        (Layers(), "type=image,compression=zstd,compression-level=3,oci-mediatypes=true"),
        (Layers(compression="zstd"), "type=image,compression=zstd,oci-mediatypes=true"),
        (
            Layers(compression="zstd:9", recompress_base=True),
            "type=image,compression=zstd,compression-level=9,oci-mediatypes=true,"
            "force-compression=true",
        ),
    ],
)
def test_zstd_is_asked_for_with_the_media_types_that_have_it(layers: Layers, expected: str) -> None:
    assert output(layers) == expected


def test_gzip_is_asked_of_every_layer_whatever_the_build_cache_has() -> None:
    assert (
        output(Layers(compression="gzip")) == "type=image,compression=gzip,force-compression=true"
    )


def test_compressions_that_make_other_layers_are_told_apart() -> None:
    texts = ("zstd", "zstd:3", "zstd:9", "gzip", "gzip:9")
    made = [Layers(compression=text, recompress_base=base) for text in texts for base in (0, 1)]
    # Of gzip all layers are made anew in any case.
    assert len({identity(layers) for layers in made}) == 8


def test_the_bake_file_asks_for_what_build_py_asks_for(
    project_matrix: Matrix, tmp_path: Path
) -> None:
    matrix = project_matrix.model_copy(update={"layers": Layers(compression="gzip")})
    to = Destinations.below(tmp_path)
    bake = json.loads(rendered_files(matrix, cells_of(matrix), to)[to.bake])
    assert {tuple(target["output"]) for target in bake["target"].values()} == {
        (output(matrix.layers),)
    }
    bake = json.loads(rendered_files(project_matrix, cells_of(project_matrix), to)[to.bake])
    for cell, target in zip(cells_of(project_matrix), bake["target"].values(), strict=True):
        said = annotations_of(labels_of(cell))
        assert target["output"] == [output(project_matrix.layers, annotations=said)]
