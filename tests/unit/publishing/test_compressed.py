"""Layers that are compressed otherwise than asked are said when they are published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from made_up_catalogue import passed
from rocm_images.build.site import RealSite
from rocm_images.build.targets import targets_of
from rocm_images.engine import image_store
from rocm_images.engine.layers import stages_of_layers
from rocm_images.matrix.schema import Layers, Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.publishing.candidates import Candidate
from rocm_images.publishing.compressed import other_than_asked, shown
from rocm_images.publishing.transaction import Done, Publication
from rocm_images.registry.manifest import Manifest
from rocm_images.registry.published import PublishedImage

BASE = ["application/vnd.oci.image.layer.v1.tar+gzip"] * 3
DOCKERS = "application/vnd.docker.image.rootfs.diff.tar.gzip"
ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"


@pytest.fixture
def ours(small_matrix: Matrix, tmp_path: Path) -> int:
    """How many layers the recipe adds."""
    return len(stages_of_layers(done(small_matrix, tmp_path, []).candidate.target.dockerfile))


def done(matrix: Matrix, folder: Path, kinds: Sequence[str], layers: Layers | None = None) -> Done:
    matrix = matrix.model_copy(update={"layers": layers or Layers()})
    cell = cells_of(matrix)[0]
    (target,) = targets_of(RealSite(), folder / "matrix.yaml", matrix, [cell])
    evidence = passed(cell.name)
    manifest: dict[str, Any] = {"layers": [{"mediaType": kind} for kind in kinds]}
    image = PublishedImage("r/i@sha256:0", cast(Manifest, None), manifest, "sha256:0", {})
    candidate = Candidate(target, "i", (), evidence, None)
    return Done(candidate, image, evidence, None, signed=True, statements=(), sbom={})


def said(one: Done, *, keeps: bool = True) -> list[str]:
    return list(other_than_asked(Publication((one,), (), ()), keeps=keeps))


def test_the_bases_layers_may_be_as_the_vendor_has_them(
    small_matrix: Matrix, tmp_path: Path, ours: int
) -> None:
    assert ours > 2
    image = done(small_matrix, tmp_path, [*BASE, *[ZSTD] * ours])
    assert shown(image) == f"{ours} zstd"
    assert said(image) == []


def test_a_layer_that_the_build_cache_had_otherwise_is_said(
    small_matrix: Matrix, tmp_path: Path, ours: int
) -> None:
    image = done(small_matrix, tmp_path, [*BASE, DOCKERS, *[ZSTD] * (ours - 1)])
    (sentence,) = said(image)
    assert f"sglang-942-rocm7.2.0 ({ours - 1} zstd, 1 gzip)" in sentence
    assert "docker builder prune" in sentence


@pytest.mark.parametrize(
    "layers", [Layers(recompress_base=True), Layers(compression="gzip")], ids=["base", "gzip"]
)
def test_where_all_layers_are_made_anew_the_bases_count(
    layers: Layers, small_matrix: Matrix, tmp_path: Path, ours: int
) -> None:
    assert len(said(done(small_matrix, tmp_path, [*BASE, *[ZSTD] * ours], layers))) == 1
    kinds = [ZSTD] if layers.recompress_base else BASE
    assert said(done(small_matrix, tmp_path, [*kinds * 3, *kinds * ours], layers)) == []


def test_an_engine_that_pushes_gzip_alone_is_told_from_a_build_cache(
    small_matrix: Matrix, tmp_path: Path, ours: int
) -> None:
    image = done(small_matrix, tmp_path, [DOCKERS] * (3 + ours))
    (sentence,) = said(image, keeps=False)
    assert "this engine keeps layers unpacked" in sentence
    assert image_store.HOW_TO_KEEP in sentence
    assert "build cache" in said(image, keeps=True)[0]


def test_cells_are_said_together(small_matrix: Matrix, tmp_path: Path, ours: int) -> None:
    one = done(small_matrix, tmp_path, [DOCKERS] * ours)
    other = replace(one, candidate=replace(one.candidate, immutable="other"))
    assert len(list(other_than_asked(Publication((one, other), (), ()), keeps=True))) == 1
