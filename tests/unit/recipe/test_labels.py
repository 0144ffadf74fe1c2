"""What an image says of itself is on it twice: as labels, and as annotations of its manifest."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rocm_images.build.site import RealSite
from rocm_images.build.targets import Target, targets_of
from rocm_images.lock.file import SCHEMA
from rocm_images.matrix.schema import Layers
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load
from rocm_images.recipe.compression import output
from rocm_images.recipe.labels import BASE_DIGEST, PREFIX, REVISION, annotations_of, labels_of

OCI = "org.opencontainers.image."
BASE = "rocm/pytorch:rocm7.2"
SERVER = "https://example.org/sglang.git#v0.5.21"
DIGEST, COMMIT = f"sha256:{'1' * 64}", "2" * 40
# https://github.com/docker/metadata-action#about-the-labels, and those of OCI's that it has not.
ALWAYS = ["title", "description", "url", "source", "version", "created", "licenses"]
ALWAYS += ["documentation", "base.name"]
NAMED = {
    "  licenses: Apache-2.0\n": "  licenses: Apache-2.0\n  vendor: A Company\n"
    "  authors: images@example.org\n  url: https://example.org/about\n"
}


def targets(path: Path, *, locked: bool = False, contexts: tuple[str, ...] = ()) -> list[Target]:
    matrix = load(path)
    lock = {"schema": SCHEMA, "bases": {BASE: DIGEST}, "sources": {SERVER: COMMIT}}
    if locked:
        path.with_suffix(".lock").write_text(json.dumps(lock))
    cells = cells_of(matrix)[:2]
    return targets_of(RealSite(), path, matrix, cells, contexts=contexts)


def of_oci(names: object) -> set[str]:
    assert isinstance(names, dict)
    return {name.removeprefix(OCI) for name in names if name.startswith(OCI)}


def test_every_image_says_what_it_is_and_whose_as_far_as_the_matrix_does(
    matrix_file: Callable[..., Path],
) -> None:
    assert of_oci(labels_of(cells_of(load(matrix_file()))[0])) == set(ALWAYS)
    labels = labels_of(cells_of(load(matrix_file(*NAMED.items())))[0])
    assert of_oci(labels) == {*ALWAYS, "vendor", "authors"}
    assert labels[f"{OCI}vendor"] == "A Company"
    assert labels[f"{OCI}authors"] == "images@example.org"
    assert labels[f"{OCI}url"] == "https://example.org/about"


def test_it_was_created_on_the_date_of_the_matrix_and_is_about_its_source(
    matrix_file: Callable[..., Path],
) -> None:
    labels = labels_of(cells_of(load(matrix_file()))[0])
    assert labels[f"{OCI}created"] == "2026-11-24T00:00:00Z"
    assert labels[f"{OCI}url"] == labels[f"{OCI}source"]


def test_only_what_is_locked_has_the_digest_of_its_base_and_the_commit_of_its_server(
    matrix_file: Callable[..., Path],
) -> None:
    (first, other) = targets(matrix_file(), locked=True)
    assert (first.labels[BASE_DIGEST], first.labels[REVISION]) == (DIGEST, COMMIT)
    # The other base has no entry in this lock.
    assert (other.labels.get(BASE_DIGEST), other.labels[REVISION]) == (None, COMMIT)


def test_without_a_lock_neither_is_claimed(matrix_file: Callable[..., Path]) -> None:
    for target in targets(matrix_file()):
        assert not {BASE_DIGEST, REVISION} & {*target.labels, *target.annotations}


@pytest.mark.parametrize(
    ("context", "lost"),
    [(f"{BASE}=docker-image://m.example.org/base:1", BASE_DIGEST), ("sglang-src={}", REVISION)],
)
def test_what_stands_for_a_base_or_a_server_is_not_called_by_the_locks_name(
    matrix_file: Callable[..., Path], context: str, lost: str, tmp_path: Path
) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    target = targets(matrix_file(), locked=True, contexts=(context.format(checkout),))[0]
    assert {BASE_DIGEST, REVISION} - target.labels.keys() == {lost}


def test_the_annotations_are_ocis_labels_and_no_other(matrix_file: Callable[..., Path]) -> None:
    target = targets(matrix_file(), locked=True)[0]
    labels = {**labels_of(target.cell), **target.labels}
    assert any(name.startswith(PREFIX) for name in labels)
    assert target.annotations == {n: v for n, v in labels.items() if n.startswith(OCI)}
    assert {BASE_DIGEST, REVISION} <= target.annotations.keys()


def test_what_an_image_says_is_in_its_build_id(matrix_file: Callable[..., Path]) -> None:
    ids = set()
    for locked, replacements in ((False, {}), (False, NAMED), (True, {})):
        inputs = targets(matrix_file(*replacements.items()), locked=locked)[0].inputs
        assert inputs is not None
        ids.add(inputs.parts["annotations"])
    assert len(ids) == 3


def test_buildx_reads_each_annotation_as_one_word_of_the_output(
    matrix_file: Callable[..., Path],
) -> None:
    said = annotations_of(labels_of(cells_of(load(matrix_file()))[0]))
    said["org.example.odd"] = 'one, "two" = three'
    (words,) = csv.reader([output(Layers(), annotations=said)])
    found = dict(word.removeprefix("annotation.").split("=", 1) for word in words[4:])
    assert found == said


def test_gzip_comes_with_manifests_that_have_no_annotations() -> None:
    assert "annotation" not in output(Layers(compression="gzip"), annotations={"a": "b"})
