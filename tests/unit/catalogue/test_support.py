"""The end of a base's support, and of a channel, is said in advance, wherever images are chosen.

All dates are made up: no such end was announced by anybody.
"""

from __future__ import annotations

import datetime
import html
import json
from typing import Any

import pytest

from made_up_catalogue import FIRST, entry
from rocm_images.catalogue import file
from rocm_images.catalogue.merge import merged
from rocm_images.catalogue.page import page
from rocm_images.catalogue.schema import CatalogueEntry
from rocm_images.catalogue.support import notes_of, support_notes
from rocm_images.comparing.facts import ImageFacts
from rocm_images.comparing.text import release_notes
from rocm_images.deploying.choose import notes
from rocm_images.errors import InputError
from rocm_images.matrix.schema import Base, Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.recipe.facts import image_json

TODAY = datetime.date(2026, 11, 26)
WHY = "its vendor says so"


def day(after: int) -> str:
    return (TODAY + datetime.timedelta(days=after)).isoformat()


@pytest.fixture
def image(project_matrix: Matrix) -> CatalogueEntry:
    return entry(cells_of(project_matrix)[0], channel="stable")


def ending(image: CatalogueEntry, after: int, **more: Any) -> CatalogueEntry:
    return image.model_copy(update={"supported_until": day(after), "supported_why": WHY, **more})


@pytest.mark.parametrize(
    ("after", "said"),
    [(91, None), (90, "(in 90 days)"), (1, "(tomorrow)"), (0, "(today)"), (-1, "since 2026-11-25")],
)
def test_an_end_is_said_ninety_days_before_and_after(
    image: CatalogueEntry, after: int, said: str | None
) -> None:
    told = support_notes(ending(image, after), TODAY)
    assert [said is not None and said in one and WHY in one for one in told] == [True] * bool(said)


@pytest.mark.parametrize(("after", "said"), [(91, None), (90, "is kept"), (-1, "was kept")])
def test_the_end_of_a_channel_is_said_in_the_same_way(
    image: CatalogueEntry, after: int, said: str | None
) -> None:
    told = support_notes(image.model_copy(update={"channel_until": day(after)}), TODAY)
    assert [said is not None and said in one and "stable" in one for one in told] == (
        [True] * bool(said)
    )


def test_nothing_is_said_where_nobody_named_an_end(image: CatalogueEntry) -> None:
    assert support_notes(image, TODAY) == []
    assert "supported until" not in page(merged(None, [image], FIRST), today=TODAY)


def test_who_picks_an_image_is_told(image: CatalogueEntry) -> None:
    assert notes(ending(image, 91), TODAY) == notes(image, TODAY)
    (said,) = [one for one in notes(ending(image, 90), TODAY) if one not in notes(image, TODAY)]
    assert "is supported until" in said


@pytest.mark.parametrize(("after", "caution"), [(91, False), (90, True), (-1, True)])
def test_the_page_has_a_badge_which_warns_in_advance(
    image: CatalogueEntry, after: int, caution: bool
) -> None:
    text = html.unescape(page(merged(None, [ending(image, after)], FIRST), today=TODAY))
    kind = ' class="caution"' if caution else ""
    assert f"<li{kind}>Base supported until {day(after)}</li>" in text


def test_the_release_notes_say_it(image: CatalogueEntry) -> None:
    def text(after: int) -> str:
        facts = ImageFacts.of_published(ending(image, after))
        return release_notes("v", {}, {image.cell: facts}, TODAY)

    assert "### Support" not in text(91)
    assert "### Support" in text(90)
    assert day(90) in text(90)


def test_who_publishes_is_told_once_of_each_end(image: CatalogueEntry) -> None:
    other = image.model_copy(update={"cell": "another-cell"})
    (said,) = notes_of([ending(image, 5), ending(other, 5), ending(other, 200)], TODAY)
    assert said.startswith(f"{image.cell}, another-cell: ")


def test_a_catalogue_without_ends_has_no_keys_for_them(image: CatalogueEntry) -> None:
    """A program that does not know the keys refuses a catalogue that has them."""
    (without,) = json.loads(file.text_of(merged(None, [image], FIRST)))["images"]
    assert not {"supported_until", "supported_why", "channel_until"} & without.keys()
    ends = ending(image, 5, channel_until=day(6))
    content = file.text_of(merged(None, [ends], FIRST)).encode()
    assert file.parse(content, "it").images == (ends,)


@pytest.mark.parametrize("odd", ["2026-02-30", "soon", "2026-11-26T00:00:00", ""])
def test_a_day_that_is_none_makes_no_catalogue(image: CatalogueEntry, odd: str) -> None:
    content = file.text_of(merged(None, [ending(image, 5)], FIRST)).replace(day(5), odd)
    with pytest.raises(InputError, match="supported_until"):
        file.parse(content.encode(), "it")


def test_what_the_matrix_says_of_a_base_is_in_its_images_and_their_entries(
    project_matrix: Matrix,
) -> None:
    cell = cells_of(project_matrix)[0]
    before = image_json(project_matrix, cell)
    assert "supported_until" not in before
    base = project_matrix.bases[cell.rocm]
    said = {"supported_until": day(5), "supported_why": WHY}
    bases = {**project_matrix.bases, cell.rocm: Base.model_validate(base.model_dump() | said)}
    matrix = project_matrix.model_copy(update={"bases": bases})
    cells = cells_of(matrix)
    for one in cells:
        expected = day(5) if one.rocm == cell.rocm else None
        assert json.loads(image_json(matrix, one)).get("supported_until") == expected
        assert entry(one).supported_until == expected
