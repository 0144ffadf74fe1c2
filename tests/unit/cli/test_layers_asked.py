"""What is typed about the compression of layers wins over the matrix, wherever it matters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from rocm_images.build.site import RealSite
from rocm_images.build.targets import Target, targets_of
from rocm_images.cli.layers_asked import LayersAsked
from rocm_images.cli.main import main
from rocm_images.errors import InputError, MatrixError
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load

MatrixFile = Callable[..., Path]
NOTHING = LayersAsked()


def target(matrix: Matrix, asked: LayersAsked, tmp_path: Path) -> Target:
    chosen = asked.of(matrix)
    return targets_of(RealSite(), tmp_path / "matrix.yaml", chosen, cells_of(chosen)[:1])[0]


def test_images_of_two_compressions_have_two_immutable_tags_and_it_is_said_what_changed(
    small_matrix: Matrix, tmp_path: Path
) -> None:
    zstd = target(small_matrix, NOTHING, tmp_path)
    gzip = target(small_matrix, LayersAsked("gzip"), tmp_path)
    assert zstd.layers.compression == "zstd:3"
    assert gzip.layers.compression == "gzip"
    assert zstd.immutable != gzip.immutable
    assert zstd.inputs
    assert gzip.inputs
    assert gzip.inputs.changed_since(zstd.inputs.label) == ["compression"]


def test_recompressing_the_base_makes_another_image(small_matrix: Matrix, tmp_path: Path) -> None:
    again = target(small_matrix, LayersAsked(recompress_base=True), tmp_path)
    assert again.layers.recompress_base
    assert again.immutable != target(small_matrix, NOTHING, tmp_path).immutable


def test_the_matrix_decides_where_nothing_is_typed(matrix_file: MatrixFile, tmp_path: Path) -> None:
    block = "layers: {compression: gzip, recompress_base: true}\narchs:\n"
    matrix = load(matrix_file(("archs:\n", block)))
    assert NOTHING.of(matrix) is matrix
    assert target(matrix, NOTHING, tmp_path).layers.compression == "gzip"
    typed = LayersAsked("zstd:9", recompress_base=False).of(matrix).layers
    assert (typed.compression, typed.recompress_base) == ("zstd:9", False)


@pytest.mark.parametrize("text", ["", "zip", "zstd:0", "zstd:23", "gzip:10", "zstd:3,push=true"])
def test_what_is_no_compression_is_refused_in_the_matrix_and_typed(
    text: str, matrix_file: MatrixFile, small_matrix: Matrix
) -> None:
    with pytest.raises(InputError, match=r"--compression: .* is no compression of layers"):
        LayersAsked(text).of(small_matrix)
    with pytest.raises(MatrixError, match="is no compression of layers"):
        load(matrix_file(("archs:\n", f'layers: {{compression: "{text}"}}\narchs:\n')))


@pytest.mark.parametrize("verb", ["build", "plan", "ci-matrix", "push", "publish"])
def test_each_verb_that_says_build_ids_takes_the_options(verb: str) -> None:
    names = {name for option in main.commands[verb].params for name in option.opts}
    assert {"--compression", "--recompress-base"} <= names


@pytest.mark.parametrize(
    "asked", [NOTHING, LayersAsked("gzip", recompress_base=True), LayersAsked("zstd", False)]
)
def test_another_build_py_is_asked_for_the_same(asked: LayersAsked) -> None:
    heard: list[LayersAsked] = []
    verb = main.commands["plan"]
    with verb.make_context("plan", [*asked.words]) as context:
        values = context.params
    heard.append(LayersAsked(values["compression"], values["recompress_base"]))
    assert heard == [asked]


def test_a_bundle_is_published_as_it_is(tmp_path: Path) -> None:
    words = ["publish", "--from", str(tmp_path), "--compression", "gzip"]
    answer = CliRunner().invoke(main, words)
    assert isinstance(answer.exception, InputError)
    assert "--compression means nothing to a bundle" in str(answer.exception)
