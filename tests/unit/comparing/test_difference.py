"""A difference between two images names each thing that differs, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from made_up_sbom import CELL_NAME, IMAGE_ID, LABELS, OTHER_ID, bill_of

from made_up_catalogue import FIRST, catalogue, digest, of_both_servers
from rocm_images.catalogue.file import write
from rocm_images.catalogue.merge import merged
from rocm_images.cli.main import main
from rocm_images.comparing.difference import Change, difference
from rocm_images.comparing.facts import ImageFacts, LayerFact, read_images
from rocm_images.comparing.text import as_text, release_notes
from rocm_images.engine.images import BUILD_ID, INPUTS
from rocm_images.errors import InputError
from rocm_images.files import write_json
from rocm_images.matrix.schema import Matrix
from rocm_images.recipe.labels import VERSION
from rocm_images.sbom.document import Bill, Package
from rocm_images.sbom.made import keep_sbom

OLD = ImageFacts(
    name="sglang-rocm:old",
    cell="sglang-942-rocm7.2.0",
    image_id="sha256:00",
    compressed=False,
    packages={"dpkg": {"curl": "1", "wget": "1"}, "pip": {"torch": "2.9.1"}},
    labels={BUILD_ID: "a", INPUTS: '{"base": "1", "dockerfile": "1"}', "l": "v"},
    env={"SGLANG_USE_AITER_AR": "0"},
    advisories=("hip-event-query", "ipc-leak"),
    layers=(LayerFact("sha256:base", 1_000_000), LayerFact("sha256:old", 2_000_000, "RUN old")),
)
NEW = replace(
    OLD,
    name="sglang-rocm:new",
    packages={"dpkg": {"curl": "2", "zip": "1"}, "pip": {"torch": "2.9.1"}},
    labels={BUILD_ID: "b", INPUTS: '{"base": "2", "dockerfile": "1"}', "l": "v"},
    env={"SGLANG_USE_AITER_AR": "1"},
    advisories=("ipc-leak", "nchannels"),
    layers=(LayerFact("sha256:base", 1_000_000), LayerFact("sha256:new", 5_000_000, "RUN new")),
)


def test_what_differs_is_named_with_both_values() -> None:
    found = difference(OLD, NEW)
    assert found.packages == {
        "dpkg": (Change("curl", "1", "2"), Change("wget", "1", None), Change("zip", None, "1")),
        "pip": (),
    }
    assert found.env == (Change("SGLANG_USE_AITER_AR", "0", "1"),)
    assert (found.gained, found.lost) == (("nchannels",), ("hip-event-query",))
    # The build id says nothing but that something differs; the inputs say what.
    assert found.labels == ()
    assert found.inputs == ("base",)


def test_images_of_two_servers_are_compared_as_any_two_are(project_matrix: Matrix) -> None:
    both = of_both_servers(project_matrix, "vllm", "1.0")
    old, new = (
        ImageFacts.of_published(next(i for i in both.images if i.server == name))
        for name in ("sglang", "vllm")
    )
    found = difference(old, new)
    changed = {one.name: (one.old is None, one.new is None) for one in found.packages["component"]}
    assert changed["sglang"] == (False, True)
    assert changed["vllm"] == (True, False)
    assert "vllm" in as_text(found)
    assert found.shared_layers == len(old.layers)


def test_release_notes_keep_the_images_of_two_servers_apart(
    project_matrix: Matrix, tmp_path: Path
) -> None:
    both = of_both_servers(project_matrix, "vllm", "1.0")
    before = both.model_copy(
        update={"images": tuple(i for i in both.images if i.server == "sglang")}
    )
    for name, which in (("before", before), ("after", both)):
        write(tmp_path / name, which)
    notes = release_notes("v2", read_images(tmp_path / "before"), read_images(tmp_path / "after"))
    unchanged = notes.partition("Unchanged: ")[2]
    for image in both.images:
        cell = image.cell.replace(".", "\\.")
        there = f"### {image.cell}: new" in notes or f"### {cell}: new" in notes
        assert there == (image.server == "vllm"), image.cell
        assert (image.cell in unchanged) == (image.server == "sglang")


def test_layers_are_shared_removed_or_added_and_sizes_are_of_all() -> None:
    found = difference(OLD, NEW)
    assert (found.old_size, found.new_size) == (3_000_000, 6_000_000)
    assert (found.shared_layers, found.shared_size) == (1, 1_000_000)
    assert [layer.step for layer in found.removed_layers] == ["RUN old"]
    assert [layer.step for layer in found.added_layers] == ["RUN new"]


def test_an_image_does_not_differ_from_itself_and_any_one_thing_is_a_difference() -> None:
    assert difference(OLD, OLD).nothing
    assert "no difference" in as_text(difference(OLD, OLD))
    for other in (
        replace(OLD, env={}),
        replace(OLD, labels={**OLD.labels, "l": "w"}),
        replace(OLD, advisories=()),
        replace(OLD, layers=OLD.layers[:1]),
        replace(OLD, packages={**OLD.packages, "pip": {}}),
    ):
        assert not difference(OLD, other).nothing
        assert "no difference" not in as_text(difference(OLD, other))


def test_a_kind_of_package_that_only_one_image_knows_is_not_taken_for_removed() -> None:
    published = replace(OLD, packages={"component": {"ROCm": "7.2.0"}})
    assert difference(OLD, published).packages == {}


def test_compressed_and_uncompressed_sizes_are_not_compared() -> None:
    with pytest.raises(InputError, match="a catalogue has compressed sizes"):
        difference(OLD, replace(NEW, compressed=True))


def test_of_compressed_layers_it_is_said_what_is_pulled() -> None:
    text = as_text(difference(replace(OLD, compressed=True), replace(NEW, compressed=True)))
    assert "compressed (+3.0 MB), 1.0 MB are the same (1 layer), 5.0 MB are pulled" in text


def test_a_layer_that_is_there_twice_is_pulled_once_and_unpacked_twice() -> None:
    twice = LayerFact("sha256:twice", 3_000_000, stage="serving")
    old = replace(OLD, layers=(replace(OLD.layers[0], stage="base image"), twice, twice))
    new = replace(old, layers=(*old.layers, replace(twice, digest="sha256:new"), twice))
    for compressed, sizes in ((True, (4, 7, 4)), (False, (7, 13, 10))):
        found = difference(*(replace(one, compressed=compressed) for one in (old, new)))
        was, now, shared = (size * 1_000_000 for size in sizes)
        assert (found.old_size, found.new_size, found.shared_size) == (was, now, shared)
        assert found.stages["serving"] == (was - 1_000_000, now - 1_000_000)
    text = as_text(difference(*(replace(one, compressed=True) for one in (old, new))))
    assert "3.0 MB are pulled" in text


def test_the_text_shows_every_section_that_has_something() -> None:
    text = as_text(difference(OLD, NEW))
    assert text.startswith(
        "sglang-rocm:old -> sglang-rocm:new\n3.0 MB -> 6.0 MB unpacked (+3.0 MB), "
    )
    assert "1.0 MB are the same (1 layer)" in text
    assert "pulled" not in text
    assert "advisory nchannels now applies" in text
    assert "advisory hip-event-query no longer applies" in text
    assert "PYTHON PACKAGES" not in text
    assert "LABELS" not in text


def test_release_notes_say_of_each_cell_what_changed() -> None:
    same = replace(OLD, cell="sglang-950-rocm7.2.0")
    gone, added = (
        replace(OLD, cell="sglang-906-rocm7.2.0"),
        replace(OLD, cell="sglang-950-rocm7.2.2"),
    )
    text = release_notes(
        "v2", {i.cell: i for i in (OLD, same, gone)}, {i.cell: i for i in (NEW, same, added)}
    )
    assert text.startswith("## v2\n\n### sglang-942-rocm7.2.0\n\n`sglang-rocm:new`, after ")
    assert "- Advisory `hip-event-query` no longer applies." in text
    assert "| Debian packages | wget | 1 | - |" in text
    assert "| Environment | SGLANG_USE_AITER_AR | 0 | 1 |" in text
    assert "### sglang-950-rocm7.2.2: new" in text
    assert "Unchanged: sglang-950-rocm7.2.0." in text
    assert "No longer built: sglang-906-rocm7.2.0." in text


def test_release_notes_give_a_size_only_where_layers_are_known() -> None:
    for layers, said in (
        (OLD.layers, "`sglang-rocm:old`, 3.0 MB compressed\n"),
        ((), "`sglang-rocm:old`\n"),
    ):
        new = replace(OLD, layers=layers, compressed=True)
        assert release_notes("v", {}, {OLD.cell: new}).endswith(f": new\n\n{said}")


def test_no_version_can_write_the_page() -> None:
    new = replace(NEW, env={"A": "<script>|\n# heading"})
    text = release_notes("v", {OLD.cell: OLD}, {OLD.cell: new})
    assert "| Environment | A | - | &lt;script>\\| # heading |" in text


def test_two_bills_make_the_notes(tmp_path: Path) -> None:
    old, new = (keep_sbom(tmp_path / name, IMAGE_ID, bill_of(IMAGE_ID)) for name in ("o", "n"))
    (image,) = read_images(old).values()
    assert (image.cell, image.name) == (CELL_NAME, LABELS[VERSION])
    assert image.packages["dpkg"] == {"apt": "3.0.4"}
    assert image.packages["pip"] == {"torch": "2.11.0+rocm7"}
    assert image.installed == {"apt": 4481 * 1024}
    words = ["release-notes", str(old), str(new), "--title", "v2"]
    same = CliRunner().invoke(main, words)
    assert same.stdout == f"## v2\n\nUnchanged: {CELL_NAME}.\n"
    write_json(new, json.loads(old.read_text().replace("2.11.0+rocm7", "2.12")))
    # Also as two folders of such files.
    for given in (words, ["release-notes", str(old.parent), str(new.parent), "--title", "v2"]):
        notes = CliRunner().invoke(main, given).stdout
        assert "| Python packages | torch | 2\\.11\\.0+rocm7 | 2\\.12 |" in notes or (
            "| Python packages | torch | 2.11.0+rocm7 | 2.12 |" in notes
        )
        assert "say nothing of layers" in notes


def test_several_versions_of_a_package_are_all_named_and_sizes_of_architectures_are_summed() -> (
    None
):
    packages = (
        Package("dpkg", "libc6", "2.41", 100),
        Package("dpkg", "libc6", "2.41", 50),
        Package("pip", "wheel", "0.45"),
        Package("pip", "wheel", "0.40"),
        Package("pip", "wheel", "0.45"),
    )
    bill = Bill(IMAGE_ID, "an image", "", "", packages)
    assert bill.versions == {"dpkg": {"libc6": "2.41"}, "pip": {"wheel": "0.40, 0.45"}, "other": {}}
    assert bill.sizes == {"libc6": 150}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"inventory": 1}', '{"bomFormat": "CycloneDX", "specVersion": 1}']
)
def test_a_file_that_is_neither_is_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file.json"
    path.write_text(text)
    with pytest.raises(InputError, match=r"neither|this is no catalogue"):
        read_images(path)


def test_a_pre_release_is_compared_only_where_a_cell_has_no_release(
    project_matrix: Matrix, tmp_path: Path
) -> None:
    images = [
        image.model_copy(update={"version": version, "digest": digest(image.cell + version)})
        for image in catalogue(project_matrix).images
        for version in ("0.5.22rc0", "0.5.22rc1", "0.5.21.post1", "0.5.21")
    ]
    path = tmp_path / "catalogue.json"
    for known, version in ((images, "0.5.21.post1"), (images[::4] + images[1::4], "0.5.22rc1")):
        write(path, merged(None, known, FIRST))
        found = read_images(path)
        cells = {image.cell for image in images}
        assert {f.image_id for f in found.values()} <= {
            i.digest for i in images if i.version == version
        }
        assert found.keys() == cells


def test_two_images_of_one_cell_and_a_folder_without_any_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \*\.cdx\.json lies in it"):
        read_images(tmp_path)
    for image_id in (IMAGE_ID, OTHER_ID):
        keep_sbom(tmp_path, image_id, bill_of(image_id))
    with pytest.raises(InputError, match=rf"two images of {CELL_NAME}"):
        read_images(tmp_path)
    (tmp_path / "broken.cdx.json").write_text("{")
    with pytest.raises(InputError, match=r"neither .*\(broken\.cdx\.json: "):
        read_images(tmp_path)


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read it"):
        read_images(tmp_path / "nowhere.json")


def test_the_difference_is_json_for_machines() -> None:
    document = json.loads(json.dumps(difference(OLD, NEW).as_json()))
    assert document["env"] == [{"name": "SGLANG_USE_AITER_AR", "old": "0", "new": "1"}]


def test_packages_are_ordered_by_how_much_they_grew() -> None:
    old = replace(OLD, installed={"torch": 9, "a": 5, "b": 8, "same": 1, "gone": 4})
    new = replace(OLD, installed={"torch": 12, "a": 25, "b": 1, "same": 1, "new": 7})
    found = difference(old, new).growth
    assert [(one.name, one.bytes) for one in found] == [
        *(("a", 20), ("new", 7), ("torch", 3)),
        *(("gone", -4), ("b", -7)),
    ]
    assert (found[1].old, found[3].new) == (None, None)
    assert difference(old, OLD).growth == ()
    assert json.loads(json.dumps(difference(old, new).as_json()))["growth"][0]["name"] == "a"


def test_the_text_shows_the_most_and_sums_all() -> None:
    many = {f"one{number}": 1_000_000 * number for number in range(1, 60)}
    new = replace(OLD, installed=many | {"torch": 500_000})
    old = replace(OLD, installed={"one1": 3_000_000})
    text = as_text(difference(old, new))
    assert "Debian packages: +1.8 GB unpacked" in text
    assert "and 20 that changed less (--json has all)" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["one59", "-", "59.0", "MB", "+59.0", "MB"] in rows
    assert ["one1", "3.0", "MB", "1.0", "MB", "-2.0", "MB"] in rows


def test_stages_are_compared_where_each_layer_says_its_own() -> None:
    def staged(facts: ImageFacts, *stages: str) -> ImageFacts:
        pairs = zip(facts.layers, stages, strict=True)
        return replace(facts, layers=tuple(replace(layer, stage=one) for layer, one in pairs))

    old, new = staged(OLD, "base image", "deps"), staged(NEW, "base image", "serving")
    assert difference(old, new).stages == {
        "base image": (1_000_000, 1_000_000),
        "deps": (2_000_000, 0),
        "serving": (0, 5_000_000),
    }
    rows = [" ".join(line.split()) for line in as_text(difference(old, new)).splitlines()]
    assert "serving 0 bytes 5.0 MB +5.0 MB" in rows
    assert difference(old, staged(NEW, "base image", "")).stages == {}
