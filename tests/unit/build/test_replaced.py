"""A build whose base or source is replaced keeps no units that others would take for the cell's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rehearsal.stand_ins import Rehearsal
from rocm_images.build.run import units_unkept
from rocm_images.build.site import RealSite, Site
from rocm_images.build.targets import targets_of
from rocm_images.lock.file import SCHEMA
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.registry.address import RegistryAddress

NAMES = ["sglang-942-rocm7.2.0", "sglang-942-rocm7.2.2"]


def unkept(matrix: Matrix, folder: Path, site: Site, cache: str, *contexts: str) -> list[str]:
    cells = [cell for cell in cells_of(matrix) if cell.name in NAMES]
    targets = targets_of(site, folder / "matrix.yaml", matrix, cells, contexts=contexts)
    return sorted(units_unkept(targets, site, RegistryAddress.parse(cache)))


@pytest.mark.parametrize("cache", ["r.example.org/team", "127.0.0.1:5000/team"])
def test_only_what_is_replaced_is_not_kept(
    project_matrix: Matrix, tmp_path: Path, cache: str
) -> None:
    base = next(c for c in cells_of(project_matrix) if c.name == NAMES[0]).base_image
    words = (project_matrix, tmp_path, RealSite(), cache)
    assert unkept(*words) == []
    assert unkept(*words, f"aiter-src={tmp_path}") == NAMES
    # That of another base is in no build of the second cell.
    assert unkept(*words, f"{base}=docker-image://m.example.org/base:1") == NAMES[:1]


def test_what_the_lock_says_replaces_nothing(project_matrix: Matrix, tmp_path: Path) -> None:
    base = next(c for c in cells_of(project_matrix) if c.name == NAMES[0]).base_image
    digest = f"sha256:{'0' * 64}"
    locked = {"schema": SCHEMA, "bases": {base: digest}, "sources": {}}
    (tmp_path / "matrix.lock").write_text(json.dumps(locked))
    cells = [cell for cell in cells_of(project_matrix) if cell.name == NAMES[0]]
    (target,) = targets_of(RealSite(), tmp_path / "matrix.yaml", project_matrix, cells)
    assert (base in target.contexts, target.replaced) == (True, False)


@pytest.mark.parametrize(
    ("cache", "expected"), [("r.example.org/team", NAMES), ("127.0.0.1:5000/team", [])]
)
def test_a_rehearsal_keeps_them_on_loopback_alone(
    project_matrix: Matrix, tmp_path: Path, cache: str, expected: list[str]
) -> None:
    assert unkept(project_matrix, tmp_path, Rehearsal(), cache) == expected
