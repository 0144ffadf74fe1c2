"""What is typed about the compression of layers wins over the matrix, wherever it matters."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from rocm_images import turns
from rocm_images.build.site import RealSite
from rocm_images.build.targets import Target, targets_of
from rocm_images.cli.layers_asked import LayersAsked
from rocm_images.cli.main import main
from rocm_images.errors import InputError, MatrixError
from rocm_images.matrix.schema import Layers, Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load
from rocm_images.publishing import run as publishing
from rocm_images.registry import trust
from rocm_images.registry.place import Who
from rocm_images.registry.trust import Signer, Trust

MatrixFile = Callable[..., Path]
NOTHING = LayersAsked()
PROJECT = Path(__file__).resolve().parents[3]


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


# Each file that asks what cells are built from, with the verbs for which it does.
ASKING = {
    "build/run.py": ("build",),
    "ci/verbs.py": ("ci-matrix",),
    "cli/inputs.py": ("plan",),
    "publishing/registry_sizes.py": ("sizes",),
    "publishing/run.py": ("push", "publish"),
}
WORDS = {
    "sizes": ("--registry=r.example.org", "--key=cosign.pub"),
    **dict.fromkeys(("push", "publish"), ("--registry=r.example.org", "--sign-key=cosign.key")),
}
MIRROR = "aiter-src=https://git.example.org/aiter.git#main"


def test_each_file_that_asks_what_cells_are_built_from_is_known() -> None:
    code = PROJECT / "rocm_images"
    calls = re.compile(r"(?<!def )\btargets_of\(")
    found = {str(x.relative_to(code)) for x in code.rglob("*.py") if calls.search(x.read_text())}
    assert found == {*ASKING}


class Asked(Exception):
    """What a verb asked for, which needs no more of its work."""


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is built from which layers and contexts is asked, and nobody else is."""

    def asked(_: object, __: object, matrix: Matrix, ___: object, **given: Any) -> list[Target]:
        raise Asked(matrix.layers, tuple(given["contexts"]))

    for name in ("build.targets", *(file.removesuffix(".py") for file in ASKING)):
        module = importlib.import_module(f"rocm_images.{name.replace('/', '.')}")
        monkeypatch.setattr(module, "targets_of", asked, raising=False)
    monkeypatch.setattr(turns, "held", lambda *_: nullcontext())
    monkeypatch.setattr(RealSite, "prepared", lambda *_, **__: None)
    monkeypatch.setattr(RealSite, "found_engine", lambda _: None)
    monkeypatch.setattr(publishing, "place_of", lambda *_: SimpleNamespace(cosign=None))
    monkeypatch.setattr(trust, "trust_of", lambda *_: Trust(key="cosign.pub"))
    for method in ("check", "trust"):
        monkeypatch.setattr(Who, method, lambda *_: None)
    monkeypatch.setattr(Who, "must_sign", lambda _: Signer("cosign.key"))


@pytest.mark.usefixtures("asking")
@pytest.mark.parametrize("verb", [verb for verbs in ASKING.values() for verb in verbs])
def test_each_verb_that_asks_it_is_told_of_layers_and_contexts(verb: str) -> None:
    def asked(*words: str, **variables: str) -> tuple[Any, ...]:
        answer = CliRunner().invoke(main, [verb, *WORDS.get(verb, ()), *words], env=variables)
        assert isinstance(answer.exception, Asked), answer.exception
        return answer.exception.args

    words = ("--compression=gzip", "--recompress-base", f"--context={MIRROR}")
    variables = {
        "ROCM_IMAGES_COMPRESSION": "gzip",
        "ROCM_IMAGES_RECOMPRESS_BASE": "1",
        "ROCM_IMAGES_CONTEXT": MIRROR,
    }
    told = (Layers(compression="gzip", recompress_base=True), (MIRROR,))
    assert asked(*words) == asked(**variables) == told
    assert asked() == (load(PROJECT / "matrix.yaml").layers, ())


@pytest.mark.usefixtures("asking")
@pytest.mark.parametrize("verb", [verb for verbs in ASKING.values() for verb in verbs])
def test_what_changes_what_is_built_or_published_is_said_also_with_q(verb: str) -> None:
    words = [verb, "-q", *WORDS.get(verb, ())]
    answer = CliRunner().invoke(main, words, env={"ROCM_IMAGES_CONTEXT": MIRROR})
    assert isinstance(answer.exception, Asked), answer.exception
    is_said = "note: ROCM_IMAGES_CONTEXT replaces aiter-src\n" in answer.stderr
    assert is_said == (verb in {"build", "push", "publish"})
    assert "replaces" not in CliRunner().invoke(main, [*words, f"--context={MIRROR}"]).stderr


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
