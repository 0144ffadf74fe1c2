"""What is published, and where: in memory, and seen by what was done to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from made_up_publication import There, all_already_there
from made_up_repositories import Repositories, two_lists
from rocm_images.build.site import RealSite
from rocm_images.build.targets import Target, targets_of
from rocm_images.catalogue.schema import Catalogue
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.publishing.candidates import Candidate
from rocm_images.publishing.rolling_tags import Move
from rocm_images.publishing.transaction import Transaction

MATRIX = Path(__file__).resolve().parents[3] / "matrix.yaml"


@pytest.fixture
def target(project_matrix: Matrix) -> Target:
    (found,) = targets_of(RealSite(), MATRIX, project_matrix, cells_of(project_matrix)[:1])
    return found


@pytest.fixture
def there() -> There:
    return There()


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One "all" for each time that a publication moves its rolling tags."""
    found: list[str] = []

    def move_all(*_: object) -> list[Move]:
        found.append("all")
        return []

    monkeypatch.setattr("rocm_images.publishing.transaction.moves", lambda *_: [])
    monkeypatch.setattr("rocm_images.publishing.transaction.move_all", move_all)
    return found


@pytest.fixture
def all_four(
    project_matrix: Matrix, tmp_path: Path, there: There, moved: list[str]
) -> tuple[Transaction, list[Candidate]]:
    """Four images that a registry has, with nothing attached, and who publishes them."""
    cells = cells_of(project_matrix)[:4]
    targets = targets_of(RealSite(), MATRIX, project_matrix, cells)
    return all_already_there(targets, tmp_path, there)


@pytest.fixture
def lists(project_matrix: Matrix) -> dict[str, Catalogue]:
    """The catalogues of two repositories."""
    return two_lists(project_matrix)


@pytest.fixture
def repositories(
    project_matrix: Matrix, lists: dict[str, Catalogue], monkeypatch: pytest.MonkeyPatch
) -> Repositories:
    found = Repositories(lists)
    found.take_the_place_of_real_ones(project_matrix, monkeypatch)
    return found
