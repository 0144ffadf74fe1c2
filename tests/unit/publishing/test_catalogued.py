"""An image that is published again is what the catalogue knows, and no size is forgotten."""

from __future__ import annotations

import pytest

from made_up_catalogue import FIRST, SECOND, entry
from rocm_images.catalogue.merge import merged
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.publishing.catalogued import as_known
from rocm_images.smoke.evidence import Level


@pytest.fixture
def cell(small_matrix: Matrix) -> Cell:
    return cells_of(small_matrix)[0]


def test_the_same_again_keeps_its_date_and_changes_nothing(cell: Cell) -> None:
    now = merged(None, [entry(cell)], FIRST)
    again = as_known(entry(cell, published=SECOND), now)
    assert again.published == FIRST
    assert merged(now, [again], SECOND).images == now.images


def test_what_says_something_else_has_a_new_date(cell: Cell) -> None:
    now = merged(None, [entry(cell)], FIRST)
    assert as_known(entry(cell, published=SECOND, build="2"), now).published == SECOND
    assert as_known(entry(cell, published=SECOND, level=Level.GPU), now).published == SECOND
    assert as_known(entry(cell, published=SECOND), None).published == SECOND


def test_sizes_that_only_another_machine_could_find_out_stay_known(cell: Cell) -> None:
    """The machine that publishes what others pushed has no engine, and perhaps no way out."""
    base = entry(cell).layers[:2]
    now = merged(None, [entry(cell, base=base)], FIRST)
    blind = entry(cell, published=SECOND, unpacked=None)
    found = as_known(blind, now)
    assert (found.unpacked, found.published) == (45_600_000_000, FIRST)
    assert found.pulls.with_base == now.images[0].pulls.with_base is not None
    # Of the same image in another channel, too; of another image nothing.
    promoted = as_known(blind.model_copy(update={"channel": "stable"}), now)
    assert (promoted.unpacked, promoted.published) == (45_600_000_000, SECOND)
    other = as_known(entry(cell, build="2", unpacked=None), now)
    assert (other.unpacked, other.pulls.with_base) == (None, None)


def test_a_size_that_was_found_out_is_added_without_a_new_date(cell: Cell) -> None:
    now = merged(None, [entry(cell, unpacked=None)], FIRST)
    found = as_known(entry(cell, published=SECOND), now)
    assert (found.unpacked, found.published) == (45_600_000_000, FIRST)
