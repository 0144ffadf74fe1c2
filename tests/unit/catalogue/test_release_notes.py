"""Release notes are made of two catalogues, where no engine has the images of both releases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from made_up_catalogue import FIRST, SECOND, entry
from rocm_images.catalogue.file import write
from rocm_images.catalogue.merge import merged
from rocm_images.comparing.difference import difference
from rocm_images.comparing.facts import read_images, write_inventory
from rocm_images.comparing.text import release_notes
from rocm_images.errors import InputError
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of


@pytest.fixture
def catalogues(small_matrix: Matrix, tmp_path: Path) -> tuple[Path, Path]:
    """A catalogue, and the next one, in which one image was replaced."""
    cells = cells_of(small_matrix)
    first = merged(None, [entry(cell, build="1") for cell in cells], FIRST)
    again = entry(cells[0], build="2", published=SECOND)
    paths = (tmp_path / "first.json", tmp_path / "second.json")
    write(paths[0], first)
    write(paths[1], merged(first, [again], SECOND))
    return paths


def test_the_current_image_of_each_cell_is_compared(catalogues: tuple[Path, Path]) -> None:
    old, new = (read_images(path) for path in catalogues)
    assert (
        set(old)
        == set(new)
        == {f"sglang-{a}-rocm{b}" for a in (942, 950) for b in ("7.2.0", "7.2.2")}
    )
    found = difference(old["sglang-942-rocm7.2.0"], new["sglang-942-rocm7.2.0"])
    assert found.old != found.new
    assert found.added_layers != ()
    notes = release_notes("v2", old, new)
    assert notes.count("###") == 1
    assert "Unchanged: sglang-942-rocm7.2.2, sglang-950-rocm7.2.2, sglang-950-rocm7.2.0." in notes


def test_components_settings_and_advisories_come_from_the_catalogue(
    catalogues: tuple[Path, Path],
) -> None:
    images = read_images(catalogues[0])
    found = difference(images["sglang-942-rocm7.2.0"], images["sglang-942-rocm7.2.2"])
    assert [(one.name, one.old, one.new) for one in found.packages["component"]] == [
        ("ROCm", "7.2.0", "7.2.2"),
        ("base image", "rocm/pytorch:rocm7.2", "rocm/pytorch:rocm7.2.2"),
    ]
    assert found.lost == ("hip-event-query",)


def test_a_catalogue_is_not_compared_with_an_inventory(
    catalogues: tuple[Path, Path], tmp_path: Path
) -> None:
    published = read_images(catalogues[0])["sglang-942-rocm7.2.0"]
    path = tmp_path / "inventory.json"
    write_inventory(path, [replace(published, compressed=False)])
    with pytest.raises(InputError, match="compare two inventories, or two catalogues"):
        release_notes("v2", read_images(path), read_images(catalogues[1]))


def test_of_several_channels_one_has_to_be_named(small_matrix: Matrix, tmp_path: Path) -> None:
    cell = cells_of(small_matrix)[0]
    images = [entry(cell, build=channel, channel=channel) for channel in ("one", "two")]
    path = tmp_path / "catalogue.json"
    write(path, merged(None, images, FIRST))
    with pytest.raises(InputError, match=r"two images of .*: name one channel"):
        read_images(path)
    assert read_images(path, "one")[cell.name].image_id == images[0].digest
    assert read_images(path, "three") == {}
