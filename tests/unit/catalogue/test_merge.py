"""What is current stays until it is replaced, and what was replaced can come back."""

from __future__ import annotations

import pytest

from made_up_catalogue import FIRST, SECOND, entry
from rocm_images.catalogue.merge import merged, restored
from rocm_images.catalogue.schema import Catalogue, PublishedImage
from rocm_images.errors import InputError
from rocm_images.matrix import Matrix
from rocm_images.plan import cells_of

THIRD = "2026-03-04T05:06:07+00:00"


def build(matrix: Matrix, build: str, **changes: object) -> list[PublishedImage]:
    return [entry(matrix, cell, build=build, **changes) for cell in cells_of(matrix)]


def digests(images: tuple[PublishedImage, ...]) -> set[str]:
    return {image.digest for image in images}


@pytest.fixture
def one(small_matrix: Matrix) -> list[PublishedImage]:
    return build(small_matrix, "1")


@pytest.fixture
def two(small_matrix: Matrix) -> list[PublishedImage]:
    return build(small_matrix, "2", published=SECOND)


def test_a_newer_build_replaces_the_older_which_becomes_history(
    one: list[PublishedImage], two: list[PublishedImage]
) -> None:
    found = merged(merged(None, one, FIRST), two, SECOND)
    assert digests(found.images) == digests(tuple(two))
    assert digests(found.history) == digests(tuple(one))
    assert found.updated == SECOND


def test_what_was_not_published_again_stays(
    one: list[PublishedImage], two: list[PublishedImage]
) -> None:
    found = merged(merged(None, one, FIRST), two[:1], SECOND)
    assert digests(found.images) == digests((two[0], *one[1:]))
    assert digests(found.history) == {one[0].digest}


def test_publishing_the_same_again_makes_no_history(one: list[PublishedImage]) -> None:
    again = merged(merged(None, one, FIRST), one, SECOND)
    assert (again.images, again.history) == (merged(None, one, FIRST).images, ())


def test_another_sglang_stays_beside_it(small_matrix: Matrix, one: list[PublishedImage]) -> None:
    later = [
        image.model_copy(
            update={"sglang": "0.5.22", "tags": (), "digest": image.digest[:-4] + "0" * 4}
        )
        for image in one
    ]
    found = merged(merged(None, one, FIRST), later, SECOND)
    assert len(found.images) == 2 * len(one)
    assert found.history == ()
    # The newest comes first.
    assert [i.sglang for i in found.images if i.arch == "942" and i.recommended] == [
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
    one: list[PublishedImage],
) -> None:
    """7.2.4 becomes the recommended base, and takes the short tag and the recommendation."""
    short = next(tag for tag in one[1].tags if "rocm" not in tag)
    newer = one[1].model_copy(
        update={
            "cell": "942-rocm7.2.4",
            "rocm": "7.2.4",
            "digest": "sha256:" + "4" * 64,
            "tags": ("v0.5.21-rocm724-mi30x", short),
        }
    )
    found = {i.cell: i for i in merged(merged(None, one, FIRST), [newer], SECOND).images}
    assert found["942-rocm7.2.4"].recommended
    assert not found["942-rocm7.2.2"].recommended
    assert short not in found["942-rocm7.2.2"].tags
    assert found["942-rocm7.2.2"].tags
    assert found["950-rocm7.2.2"].recommended


def test_images_of_one_base_share_what_the_other_arch_has_too(one: list[PublishedImage]) -> None:
    found = merged(None, one, FIRST)
    assert {image.shared for image in found.images} == {11_200_000_000}


def test_an_image_without_sibling_shares_nothing(one: list[PublishedImage]) -> None:
    alone = merged(None, one[:2], FIRST)
    assert {image.arch for image in alone.images} == {"942"}
    assert {image.shared for image in alone.images} == {0}


def test_going_back_gives_the_rolling_tags_to_the_older_image(
    one: list[PublishedImage], two: list[PublishedImage]
) -> None:
    now = merged(merged(None, one, FIRST), two, SECOND)
    back = restored(now, one[1].immutable_tag, one[1].channel, THIRD)
    current = {image.cell: image for image in back.images}
    assert current["942-rocm7.2.2"].digest == one[1].digest
    assert current["942-rocm7.2.2"].tags == two[1].tags
    assert current["942-rocm7.2.0"].digest == two[0].digest
    assert two[1].digest in digests(back.history)
    assert one[1].digest not in digests(back.history)
    again = restored(back, two[1].immutable_tag, two[1].channel, THIRD)
    assert digests(again.images) == digests(now.images)
    assert digests(again.history) == digests(now.history)


def test_going_back_to_what_is_current_changes_nothing(one: list[PublishedImage]) -> None:
    now = merged(None, one, FIRST)
    assert restored(now, one[0].immutable_tag, one[0].channel, SECOND) == now


def test_going_back_to_an_unknown_tag_is_an_error(one: list[PublishedImage]) -> None:
    with pytest.raises(InputError, match="no image with the immutable tag v1-never"):
        restored(merged(None, one, FIRST), "v1-never", "stable", SECOND)


def test_an_empty_catalogue_can_be_merged_into(one: list[PublishedImage]) -> None:
    empty = merged(None, [], FIRST)
    assert empty == Catalogue(schema=1, updated=FIRST)
    assert digests(merged(empty, one, SECOND).images) == digests(tuple(one))


def test_a_channel_does_not_replace_what_another_has(one: list[PublishedImage]) -> None:
    other = [image.model_copy(update={"channel": "other", "tags": ()}) for image in one]
    alone = merged(None, one, FIRST)
    both = merged(alone, other, SECOND)
    assert both.history == ()
    assert tuple(image for image in both.images if image.channel != "other") == alone.images
    assert len(both.images) == 2 * len(one)
