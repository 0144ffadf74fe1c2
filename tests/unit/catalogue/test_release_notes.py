"""Release notes are made of two catalogues, where no engine has the images of both releases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_up_sbom import SAID

from made_up_catalogue import FIRST, SECOND, entry
from rocm_images.catalogue.file import read, write
from rocm_images.catalogue.merge import merged
from rocm_images.comparing.difference import Change, difference
from rocm_images.comparing.facts import read_images
from rocm_images.comparing.text import release_notes
from rocm_images.errors import InputError
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.sbom.document import normalised
from rocm_images.sbom.made import keep_sbom


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


def test_bills_beside_a_catalogue_say_what_packages_its_images_hold(
    catalogues: tuple[Path, Path], tmp_path: Path
) -> None:
    cell, paths = "sglang-942-rocm7.2.0", []
    for path, version in zip(catalogues, ("2.11", "2.12"), strict=True):
        folder = tmp_path / version
        folder.mkdir()
        paths.append(path.rename(folder / path.name))
        image = next(one for one in read(paths[-1]).images if one.cell == cell)
        said = json.loads(json.dumps(SAID).replace("2.11.0+rocm7", version))
        labels = {"rocm-serving-images.cell": cell, "rocm-serving-images.build-id": image.build_id}
        keep_sbom(folder, image.digest, normalised(said, image.digest, labels))
    old, new = map(read_images, paths)
    found = difference(old[cell], new[cell])
    assert found.packages["pip"] == (Change("torch", "2.11", "2.12"),)
    # Others have none there, and one of another build says nothing.
    assert "pip" not in old["sglang-950-rocm7.2.0"].packages
    other = next(one for one in read(paths[1]).images if one.cell == cell).build_id
    for bill in paths[1].parent.glob("*.cdx.json"):
        bill.write_text(bill.read_text().replace(other, "f" * 64))
    assert "pip" not in read_images(paths[1])[cell].packages


def test_of_several_channels_one_has_to_be_named(small_matrix: Matrix, tmp_path: Path) -> None:
    cell = cells_of(small_matrix)[0]
    images = [entry(cell, build=channel, channel=channel) for channel in ("one", "two")]
    path = tmp_path / "catalogue.json"
    write(path, merged(None, images, FIRST))
    with pytest.raises(InputError, match=r"two images of .*: name one channel"):
        read_images(path)
    assert read_images(path, "one")[cell.name].image_id == images[0].digest
    assert read_images(path, "three") == {}
