"""What a node pulls is what it lacks, by digest, of whatever kind the layers are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from made_up_catalogue import FIRST, SECOND, digest, entry, manifest
from rocm_images.catalogue.file import parse, text_of
from rocm_images.catalogue.merge import merged, restored
from rocm_images.catalogue.schema import CatalogueEntry, Layer, Pulls
from rocm_images.catalogue.sharing import lacked, previous_of
from rocm_images.errors import InputError
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell, cells_of

OWN = 1_250_000_000
"""Bytes of the one layer of a made-up image that differs from build to build and arch to arch."""


@pytest.fixture
def cell(small_matrix: Matrix) -> Cell:
    return cells_of(small_matrix)[0]


def layer(name: str, size: int) -> Layer:
    return Layer(digest=digest(name), size=size)


def of(cell: Cell, build: str, version: str, **changes: Any) -> CatalogueEntry:
    return entry(cell, build=build, **changes).model_copy(update={"version": version})


def test_a_layer_counts_once_and_what_is_there_not_at_all() -> None:
    image = [layer("a", 5), layer("b", 7), layer("b", 7)]
    assert lacked(image, []) == 12
    assert lacked(image, [layer("a", 5), layer("c", 100)]) == 7
    assert lacked(image, image) == 0
    # A second claim makes no layer smaller.
    for claims in ((5, 1), (1, 5)):
        assert lacked([layer("a", size) for size in claims], []) == 5


def test_an_image_pulls_what_the_one_before_and_the_other_arch_lack(small_matrix: Matrix) -> None:
    cells = cells_of(small_matrix)
    first = merged(None, [entry(one) for one in cells], FIRST)
    assert [one.pulls.previous for one in first.images] == [None] * 4
    assert {one.pulls.with_previous for one in first.images} == {None}
    assert {one.pulls.with_other_arch for one in first.images} == {OWN}
    second = merged(first, [entry(one, build="2") for one in cells], SECOND)
    assert {one.pulls.with_previous for one in second.images} == {OWN}
    tags = {one.cell: one.immutable_tag for one in first.images}
    assert {one.cell: one.pulls.previous for one in second.images} == tags
    assert parse(text_of(second).encode(), "it") == second


@pytest.mark.parametrize("kind", ["tar+gzip", "tar+zstd"])
def test_layers_count_by_digest_whatever_compressed_them(cell: Cell, kind: str) -> None:
    document = manifest(cell)
    for one in document["layers"]:
        one["mediaType"] = f"application/vnd.oci.image.layer.v1.{kind}"
    base = entry(cell).layers[:2]
    assert entry(cell, manifest=document, base=base).pulls.with_base == 800_000_000 + OWN


def test_a_base_that_was_compressed_anew_is_shared_with_nothing(cell: Cell) -> None:
    base = [layer("the vendor's", 9_000_000_000)]
    found = entry(cell, base=base)
    assert found.pulls.with_base == found.size
    assert entry(cell).pulls.with_base is None


def test_the_image_before_is_of_the_same_version_or_of_the_one_below(cell: Cell) -> None:
    now = [of(cell, "1", "0.5.21"), of(cell, "2", "0.5.9"), of(cell, "3", "0.5.22")]
    gone = [of(cell, "4", "0.5.22"), of(cell, "5", "0.5.22")]

    def before(image: CatalogueEntry) -> str | None:
        found = previous_of(image, now, gone)
        return found and found.digest

    # About to be published: what is current is before it.
    assert before(of(cell, "6", "0.5.22")) == now[2].digest
    # It is current: what it replaced last is before it.
    assert before(now[2]) == gone[0].digest
    # Another version: not the newest, and not by the order of letters.
    assert before(of(cell, "7", "0.5.23")) == now[2].digest
    assert before(now[0]) == now[1].digest
    # The oldest version that there is was never before another.
    assert before(now[1]) is None


@pytest.mark.parametrize(
    "other",
    [
        {"channel": "stable"},
        {"cell": "sglang-942-rocm7.2.2"},
        {"repository": "mirror.example.org/sglang-rocm"},
    ],
)
def test_what_is_elsewhere_is_not_before_it(cell: Cell, other: dict[str, str]) -> None:
    elsewhere = entry(cell, build="1").model_copy(update=other)
    assert previous_of(entry(cell, build="2"), [elsewhere], []) is None


def test_after_a_rollback_the_one_that_was_rolled_back_is_before(cell: Cell) -> None:
    one, two = entry(cell, build="1"), entry(cell, build="2")
    now = merged(merged(None, [one], FIRST), [two], SECOND)
    back = restored(now, one.immutable_tag, SECOND, channel="preview")
    assert [image.pulls.previous for image in back.images] == [two.immutable_tag]
    found = previous_of(entry(cell, build="3"), back.images, back.history)
    assert found is not None
    assert found.digest == one.digest


def test_what_the_base_has_stays_known_when_others_are_published(small_matrix: Matrix) -> None:
    one, other = cells_of(small_matrix)[:2]
    first = merged(None, [entry(one, base=entry(one).layers[:2])], FIRST)
    second = merged(first, [entry(other)], SECOND)
    assert 800_000_000 + OWN in [image.pulls.with_base for image in second.images]


def test_a_catalogue_without_these_is_read(cell: Cell) -> None:
    """As the version before this wrote it."""
    document = merged(None, [entry(cell)], FIRST).model_dump(mode="json", by_alias=True)
    for image in document["images"]:
        del image["pulls"], image["unpacked"]
        for one in image["layers"]:
            del one["stage"], one["step"]
    (found,) = parse(json.dumps(document).encode(), "it").images
    assert (found.pulls, found.unpacked, found.layers[0].step) == (Pulls(), None, None)


@pytest.mark.parametrize("size", [-1, 2**63, "much", 1.5, None])
def test_a_size_that_cannot_be_is_no_manifest(cell: Cell, size: object) -> None:
    document = manifest(cell)
    document["layers"][0]["size"] = size
    with pytest.raises(InputError, match="no image manifest"):
        entry(cell, manifest=document)


def test_sizes_that_are_too_much_together_are_no_manifest(cell: Cell) -> None:
    document = manifest(cell)
    for one in document["layers"]:
        one["size"] = 2**62
    with pytest.raises(InputError, match="no image manifest"):
        entry(cell, manifest=document)


def test_each_layer_has_the_step_and_the_stage_that_made_it(cell: Cell) -> None:
    dockerfile = "FROM x AS base\nRUN one\nFROM base AS serving\nCOPY a b\n"
    steps = ("an import", "RUN /bin/sh -c one # buildkit", "COPY\x1b[2J a\u202e b # buildkit")
    found = entry(cell, steps=steps, dockerfile=dockerfile).layers
    assert [one.stage for one in found] == ["base image", "base image", "base", "serving"]
    assert found[0].step == ""
    assert "one" in (found[2].step or "")
    assert (found[3].step or "").isprintable()
