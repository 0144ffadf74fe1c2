"""The image that people get is the one to prefer, or the one that they named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from made_up_catalogue import FIRST, SECOND, catalogue, digest, entry, evidence
from rocm_images.catalogue.merge import merged
from rocm_images.catalogue.schema import Catalogue, CatalogueEntry
from rocm_images.deploying import choose
from rocm_images.deploying.choose import named, notes
from rocm_images.errors import InputError
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.plan.selection import cell_named
from rocm_images.smoke.evidence import Level


@pytest.fixture
def known(project_matrix: Matrix) -> Catalogue:
    return catalogue(project_matrix)


def recommended(known: Catalogue, arch: str, **asked: Any) -> CatalogueEntry:
    """The image of the first server, of those that all servers have."""
    return choose.recommended(known, arch, server="sglang", **asked)


@pytest.mark.parametrize("arch", ["942", "gfx942"])
def test_the_recommended_base_is_preferred(known: Catalogue, arch: str) -> None:
    assert recommended(known, arch).cell == "sglang-942-rocm7.2.2"
    assert recommended(known, arch, rocm="7.2.0").cell == "sglang-942-rocm7.2.0"


def test_the_newest_sglang_is_preferred(known: Catalogue) -> None:
    newer = [
        image.model_copy(update={"version": "0.5.100", "tags": (), "channel": image.channel})
        for image in known.images
    ]
    assert recommended(merged(known, newer, SECOND), "942").version == "0.5.100"


def of_versions(known: Catalogue, *versions: str, channel: str = "stable") -> Catalogue:
    """The same images, of each of these versions of SGLang."""
    images = [
        image.model_copy(
            update={
                "version": version,
                "channel": channel,
                "tags": (),
                "digest": digest(image.digest + version),
            }
        )
        for image in known.images
        for version in versions
    ]
    return merged(None, images, SECOND)


REPORTED = ("0.5.21", "0.5.21.post1", "0.5.22rc0")


@pytest.mark.parametrize(
    ("versions", "chosen"),
    [
        (REPORTED, "0.5.21.post1"),
        (("0.5.9", "0.5.21"), "0.5.21"),
        (("0.5.21", "0.5.22a1", "0.5.22b2", "0.5.22.dev3", "0.6.0rc1"), "0.5.21"),
        (("0.5.21", "0.5.21.post1.dev2"), "0.5.21"),
        (("0.5.22rc0", "0.5.22"), "0.5.22"),
        (("0.5.21", "0.5.21+local"), "0.5.21+local"),
    ],
)
def test_a_release_is_preferred_to_every_pre_release(
    known: Catalogue, versions: tuple[str, ...], chosen: str
) -> None:
    given = of_versions(known, *versions)
    assert recommended(given, "942").version == chosen
    assert recommended(given, "gfx950", rocm="7.2.0").version == chosen
    # The first of an arch in the list is the one to prefer.
    for arch in ("942", "950"):
        first = next(image for image in given.images if image.arch == arch)
        assert (first.version, first.recommended) == (chosen, True)


def test_a_pre_release_is_chosen_where_it_is_asked_for(known: Catalogue) -> None:
    assert recommended(of_versions(known, *REPORTED), "942", pre=True).version == "0.5.22rc0"
    both = of_versions(known, "0.5.22rc0", "0.5.22")
    assert recommended(both, "942", pre=True).version == "0.5.22"


def test_where_there_are_only_pre_releases_it_says_how_to_ask(known: Catalogue) -> None:
    given = of_versions(known, "0.5.22rc0", "0.5.22rc1")
    said = r"942 in channel stable is pre-releases only \(0\.5\.22rc1, 0\.5\.22rc0\): .* --pre"
    with pytest.raises(InputError, match=said):
        recommended(given, "942")
    chosen = recommended(given, "942", pre=True)
    assert chosen.version == "0.5.22rc1"
    assert "0.5.22rc1 is a pre-release of SGLang, not a release." in notes(chosen)


def test_a_release_on_another_base_is_preferred_to_a_pre_release_on_the_recommended(
    known: Catalogue,
) -> None:
    given = merged(
        None,
        [
            *(i for i in of_versions(known, "0.5.21").images if not i.recommended),
            *(i for i in of_versions(known, "0.5.22rc0").images if i.recommended),
        ],
        SECOND,
    )
    assert recommended(given, "942").version == "0.5.21"


def test_stable_is_meant_where_there_is_one(project_matrix: Matrix, known: Catalogue) -> None:
    assert recommended(known, "942").channel == "preview"
    older = [entry(cell, build="0", channel="stable") for cell in cells_of(project_matrix)]
    both = merged(known, older, SECOND)
    assert recommended(both, "942").channel == "stable"
    assert recommended(both, "942", channel="preview").channel == "preview"


def test_a_stand_in_is_chosen_only_where_there_is_nothing_else(project_matrix: Matrix) -> None:
    cells = cells_of(project_matrix)
    slow, fast = (cell_named(cells, f"sglang-942-rocm{base}") for base in ("7.2.0", "7.2.2"))
    real = entry(slow)
    rehearsed = entry(fast, stand_in=True)
    assert recommended(merged(None, [real, rehearsed], FIRST), "942").cell == slow.name
    assert recommended(merged(None, [rehearsed], FIRST), "942").stand_in


@pytest.mark.parametrize(
    ("arch", "rocm", "channel", "sentence"),
    [
        ("943", None, None, r"no image for the arch '943': known: 942 \(MI300X, MI325X\)"),
        ("942", "7.2.99", None, r"no image for 942 on ROCm '7.2.99': known: 7\.2\.\d+"),
        (" 90a ", None, None, r"no image for the arch '90a': known: 942 \(MI300X, MI325X\)"),
        ("mi300", None, None, r"no image for the arch 'mi300': known: 942 \(MI300X, MI325X\)"),
        ("942", None, "stabel", "no image for 942 in channel 'stabel': known: preview"),
    ],
)
def test_what_there_is_not_is_said_with_what_there_is(
    known: Catalogue, arch: str, rocm: str | None, channel: str | None, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        recommended(known, arch, rocm=rocm, channel=channel)


def test_an_image_is_found_by_each_of_its_names(known: Catalogue) -> None:
    image = known.images[0]
    for tag in (*image.tags, image.immutable_tag):
        assert named(known, tag) == image
        assert named(known, f"{image.repository}:{tag}") == image
    assert named(known, image.digest) == named(known, image.reference) == image


def test_an_image_that_was_replaced_is_found_by_what_never_moves(known: Catalogue) -> None:
    earlier = known.history[0]
    assert named(known, earlier.immutable_tag) == named(known, earlier.digest) == earlier
    assert named(known, earlier.tags[0]) != earlier


def test_a_tag_of_two_repositories_is_ambiguous(project_matrix: Matrix, known: Catalogue) -> None:
    mirror = [
        entry(cell, repository="mirror.example.org/sglang-rocm")
        for cell in cells_of(project_matrix)
    ]
    both = merged(known, mirror, SECOND)
    with pytest.raises(InputError, match=r"more than one image: name one of mirror\.example\.org"):
        named(both, mirror[0].tags[0])


def test_a_name_that_is_not_there_is_said_with_the_closest(known: Catalogue) -> None:
    with pytest.raises(InputError, match=r"did you mean 'v0\.5\.21-mi35x'"):
        named(known, "v0.5.20-mi35x")
    with pytest.raises(InputError, match="it has no image at all"):
        named(Catalogue(schema=2, updated=FIRST), "v0.5.21-mi30x")


@pytest.mark.parametrize("gpu", ["mi30x", "MI300X", "gfx942"])
def test_no_tag_of_another_gpu_is_suggested(known: Catalogue, gpu: str) -> None:
    of_950 = known.model_copy(
        update={"images": tuple(one for one in known.images if one.arch == "950")}
    )
    with pytest.raises(
        InputError, match=r"no image 'v0.*': its images are for 950 \(MI350X, MI355X\)$"
    ):
        named(of_950, f"v0.5.21-{gpu}")
    with pytest.raises(InputError, match=r"did you mean 'v0\.5\.21-mi30x'"):
        named(known, f"v0.5.20-{gpu}")


def test_notes_say_what_stands_against_an_image(project_matrix: Matrix) -> None:
    cells = cells_of(project_matrix)
    slow, fast = (cell_named(cells, f"sglang-950-rocm{base}") for base in ("7.2.0", "7.2.2"))
    assert notes(entry(fast, level=Level.GPU)) == []
    warned = " ".join(notes(entry(slow, level=Level.GPU)))
    assert "hip-event-query" in warned
    assert "7.2.1 or later" in warned
    assert notes(entry(fast)) == ["no GPU has run this image."]
    older = replace(evidence(fast, Level.GPU), ran_as=None)
    (said,) = notes(entry(fast, evidence=older))
    assert said.startswith("a GPU ran it with other flags than `run-args` prints, or with flags n")
    stand_in = entry(fast, level=Level.STAND_IN, stand_in=True)
    assert "this is a stand-in of a rehearsal" in " ".join(notes(stand_in))
    assert "no GPU has run this image." in notes(stand_in)
