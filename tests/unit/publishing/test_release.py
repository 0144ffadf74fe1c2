"""Which tags an image was given and when is signed anew exactly when one of its tags moves."""

from __future__ import annotations

import pytest

from hostile_registry import GOOD
from rocm_images.build.targets import Target
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.plan.selection import cell_named
from rocm_images.publishing.candidates import Candidate
from rocm_images.publishing.rollback import tags_to_move
from rocm_images.publishing.signing import released_again
from rocm_images.registry.manifest import Manifest
from rocm_images.registry.published import PublishedImage
from rocm_images.registry.statements import Release
from rocm_images.smoke.evidence import Evidence, Level

BUILD_ID = "4b916ad5c63d" + "0" * 52
ROLLING = ("v0.5.21-rocm722-mi30x-preview", "v0.5.21-mi30x-preview")
TOP = Manifest(GOOD)
IMAGE = PublishedImage("it", TOP, {}, TOP.digest, {"rocm-serving-images.build-id": BUILD_ID})


@pytest.fixture
def cell(project_matrix: Matrix) -> Cell:
    return cell_named(cells_of(project_matrix), "sglang-942-rocm7.2.2")


@pytest.fixture
def candidate(cell: Cell) -> Candidate:
    evidence = Evidence.of(
        cell, "i", device=Level.STATIC, passed=3, failures=(), seconds=1.0, tests="t", probe=None
    )
    return Candidate(
        Target(cell, ()), "v0.5.21-rocm722-mi30x-4b916ad5c63d", ROLLING, evidence, None
    )


def again(known: Release | None, candidate: Candidate, channel: str, moving: set[str]) -> Release:
    return released_again(known, candidate, IMAGE, "sglang-rocm", channel, moving)


def test_the_date_is_that_of_the_last_move(candidate: Candidate) -> None:
    first = again(None, candidate, "preview", set(ROLLING))
    assert (first.immutable, first.build_id) == (candidate.immutable, BUILD_ID)
    # Published again, and nothing moves.
    assert again(first, candidate, "preview", set()) == first
    assert again(first, candidate, "preview", {"others"}) == first
    # After a rollback, say, its tags come back to it.
    back = again(first, candidate, "preview", {ROLLING[1]})
    assert back.channels["preview"].date > first.channels["preview"].date


def test_another_channel_leaves_the_first_as_it_was(candidate: Candidate) -> None:
    first = again(None, candidate, "preview", set(ROLLING))
    both = again(first, candidate, "stable", set())
    assert both.channels["preview"] == first.channels["preview"]
    assert both.channels["stable"].date > first.channels["preview"].date


@pytest.mark.parametrize(
    ("given", "moved"),
    [
        (ROLLING, ROLLING),
        (
            ("v0.5.21-rocm722-mi30x-rehearsal-preview", "v0.5.21-mi30x-rehearsal-preview"),
            ("v0.5.21-rocm722-mi30x-rehearsal-preview", "v0.5.21-mi30x-rehearsal-preview"),
        ),
        # The short tag belongs to the release that is built now.
        (
            ("v0.5.20-rocm722-mi30x-preview", "v0.5.20-mi30x-preview"),
            ("v0.5.20-rocm722-mi30x-preview",),
        ),
        # A tag that the cell no longer has is another's.
        ((ROLLING[0], "v0.5.21-mi35x-preview"), (ROLLING[0],)),
    ],
)
def test_a_rollback_moves_the_tags_that_are_still_the_cells(
    cell: Cell, given: tuple[str, ...], moved: tuple[str, ...]
) -> None:
    assert tags_to_move(given, cell, "-preview") == moved
