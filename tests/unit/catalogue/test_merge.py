"""What is current stays until it is replaced, and what was replaced can come back."""

from __future__ import annotations

import pytest

from made_up_catalogue import FIRST, SECOND, entry
from rocm_images.catalogue.merge import merged, restored
from rocm_images.catalogue.schema import Catalogue, CatalogueEntry
from rocm_images.errors import InputError
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of

THIRD = "2026-03-04T05:06:07+00:00"


def build(matrix: Matrix, build: str, **changes: object) -> list[CatalogueEntry]:
    return [entry(cell, build=build, **changes) for cell in cells_of(matrix)]


def digests(images: tuple[CatalogueEntry, ...]) -> set[str]:
    return {image.digest for image in images}


@pytest.fixture
def one(small_matrix: Matrix) -> list[CatalogueEntry]:
    return build(small_matrix, "1")


@pytest.fixture
def two(small_matrix: Matrix) -> list[CatalogueEntry]:
    return build(small_matrix, "2", published=SECOND)


def test_a_newer_build_replaces_the_older_which_becomes_history(
    one: list[CatalogueEntry], two: list[CatalogueEntry]
) -> None:
    found = merged(merged(None, one, FIRST), two, SECOND)
    assert digests(found.images) == digests(tuple(two))
    assert digests(found.history) == digests(tuple(one))
    assert found.updated == SECOND


def test_what_was_not_published_again_stays(
    one: list[CatalogueEntry], two: list[CatalogueEntry]
) -> None:
    found = merged(merged(None, one, FIRST), two[:1], SECOND)
    assert digests(found.images) == digests((two[0], *one[1:]))
    assert digests(found.history) == {one[0].digest}


def test_publishing_the_same_again_makes_no_history(one: list[CatalogueEntry]) -> None:
    again = merged(merged(None, one, FIRST), one, SECOND)
    assert (again.images, again.history) == (merged(None, one, FIRST).images, ())


def test_another_sglang_stays_beside_it(small_matrix: Matrix, one: list[CatalogueEntry]) -> None:
    later = [
        image.model_copy(
            update={"version": "0.5.22", "tags": (), "digest": image.digest[:-4] + "0" * 4}
        )
        for image in one
    ]
    found = merged(merged(None, one, FIRST), later, SECOND)
    assert len(found.images) == 2 * len(one)
    assert found.history == ()
    # The newest comes first.
    assert [i.version for i in found.images if i.arch == "942" and i.recommended] == [
        "0.5.22",
        "0.5.21",
    ]


def test_a_mirror_in_the_same_catalogue_is_another_image(small_matrix: Matrix) -> None:
    here = build(small_matrix, "1")
    there = build(small_matrix, "1", repository="mirror.example.org/sglang-rocm")
    found = merged(merged(None, here, FIRST), there, SECOND)
    assert len(found.images) == 8
    assert all(image.tags for image in found.images)


def test_a_rolling_tag_belongs_to_the_image_that_got_it_last(
    one: list[CatalogueEntry],
) -> None:
    """7.2.4 becomes the recommended base, and takes the short tag and the recommendation."""
    short = next(tag for tag in one[1].tags if "rocm" not in tag)
    newer = one[1].model_copy(
        update={
            "cell": "sglang-942-rocm7.2.4",
            "rocm": "7.2.4",
            "digest": "sha256:" + "4" * 64,
            "tags": ("v0.5.21-rocm724-mi30x", short),
        }
    )
    found = {i.cell: i for i in merged(merged(None, one, FIRST), [newer], SECOND).images}
    assert found["sglang-942-rocm7.2.4"].recommended
    assert not found["sglang-942-rocm7.2.2"].recommended
    assert short not in found["sglang-942-rocm7.2.2"].tags
    assert found["sglang-942-rocm7.2.2"].tags
    assert found["sglang-950-rocm7.2.2"].recommended


def test_images_of_one_base_share_what_the_other_arch_has_too(one: list[CatalogueEntry]) -> None:
    found = merged(None, one, FIRST)
    assert {image.shared for image in found.images} == {11_200_000_000}


def test_an_image_without_sibling_shares_nothing(one: list[CatalogueEntry]) -> None:
    alone = merged(None, one[:2], FIRST)
    assert {image.arch for image in alone.images} == {"942"}
    assert {image.shared for image in alone.images} == {0}


def test_going_back_gives_the_rolling_tags_to_the_older_image(
    one: list[CatalogueEntry], two: list[CatalogueEntry]
) -> None:
    now = merged(merged(None, one, FIRST), two, SECOND)
    back = restored(now, one[1].immutable_tag, THIRD, channel="preview")
    current = {image.cell: image for image in back.images}
    assert current["sglang-942-rocm7.2.2"].digest == one[1].digest
    assert current["sglang-942-rocm7.2.2"].tags == two[1].tags
    assert current["sglang-942-rocm7.2.0"].digest == two[0].digest
    assert two[1].digest in digests(back.history)
    assert one[1].digest not in digests(back.history)
    again = restored(back, two[1].immutable_tag, THIRD, channel="preview")
    assert digests(again.images) == digests(now.images)
    assert digests(again.history) == digests(now.history)


def test_a_channel_leaves_the_images_of_another_alone(small_matrix: Matrix) -> None:
    stable = build(small_matrix, "1", channel="stable")
    preview = [
        image.model_copy(update={"tags": tuple(f"{tag}-preview" for tag in image.tags)})
        for image in build(small_matrix, "2")
    ]
    now = merged(merged(None, stable, FIRST), preview, SECOND)
    assert len(now.images) == 8
    assert now.history == ()
    assert sum(image.recommended for image in now.images) == 4
    # The first image of an arch is the one that people get.
    assert now.images[0].channel == "stable"
    # The very image of the preview becomes stable.
    promoted = [
        image.model_copy(update={"channel": "stable", "tags": before.tags})
        for image, before in zip(preview, stable, strict=True)
    ]
    then = merged(now, promoted, THIRD)
    assert len(then.images) == 8
    assert {(i.channel, i.digest) for i in then.history} == {("stable", i.digest) for i in stable}
    with pytest.raises(InputError, match="in channel preview"):
        restored(then, stable[0].immutable_tag, THIRD, channel="preview")
    back = restored(then, stable[0].immutable_tag, THIRD, channel="stable")
    assert stable[0].digest in digests(back.images)


def test_going_back_to_what_is_current_changes_nothing(one: list[CatalogueEntry]) -> None:
    now = merged(None, one, FIRST)
    assert restored(now, one[0].immutable_tag, SECOND, channel="preview") == now


def test_going_back_to_an_unknown_tag_is_an_error(one: list[CatalogueEntry]) -> None:
    with pytest.raises(InputError, match="no image with the immutable tag v1-never"):
        restored(merged(None, one, FIRST), "v1-never", SECOND, channel="preview")


def test_an_empty_catalogue_can_be_merged_into(one: list[CatalogueEntry]) -> None:
    empty = merged(None, [], FIRST)
    assert empty == Catalogue(schema=2, updated=FIRST)
    assert digests(merged(empty, one, SECOND).images) == digests(tuple(one))
