"""Which tags of upstream are newer than the matrix, by the form that the matrix's own have."""

from __future__ import annotations

import pytest

from rocm_images.lock.forms import BaseForm, BaseTag, newer_bases, newer_releases
from rocm_images.matrix.schema import Base, Matrix, Source
from rocm_images.plan.cells import cells_of

REPOSITORY = "rocm/pytorch"
TAG = "rocm7.2.4_ubuntu22.04_py3.10_pytorch_release_2.9.1"
OURS = BaseTag(TAG, "7.2.4", "3.10", "2.9.1")


def base(tag: str, python: str = "3.10", torch: str = "2.9.1") -> Base:
    return Base(image=f"{REPOSITORY}:{tag}", python=python, torch=torch)


def form(rocm: str = "7.2.4", tag: str = TAG) -> BaseForm:
    found = BaseForm.of(rocm, base(tag))
    assert found is not None
    return found


def test_bases_whose_tags_differ_in_versions_alone_are_of_one_form() -> None:
    first = "rocm7.2_ubuntu22.04_py3.10_pytorch_release_2.9.1"
    assert form("7.2.0", first) == form()
    assert form().read(first) == BaseTag(first, "7.2.0", "3.10", "2.9.1")


@pytest.mark.parametrize("tag", ["24.04", "rocm7.2.4", "rocm7.2.40_py3.10_2.9.1", "nightly"])
def test_a_tag_that_does_not_say_its_versions_has_no_form(tag: str) -> None:
    assert BaseForm.of("7.2.4", base(tag)) is None


def test_every_base_of_the_project_with_a_version_in_its_tag_has_a_form(
    project_matrix: Matrix,
) -> None:
    forms = {rocm: BaseForm.of(rocm, one) for rocm, one in project_matrix.bases.items()}
    assert {rocm for rocm, one in forms.items() if one is None} == {"10.0.0"}
    assert len({one for one in forms.values() if one}) == 1


def test_newer_ones_are_found_the_newest_first() -> None:
    newer = [
        "rocm7.10_ubuntu22.04_py3.12_pytorch_release_2.10.0",
        "rocm7.3_ubuntu22.04_py3.10_pytorch_release_2.9.1",
        "rocm7.2.4_ubuntu22.04_py3.10_pytorch_release_2.10.0",
    ]
    older = [
        TAG,
        "rocm7.2.3_ubuntu22.04_py3.10_pytorch_release_2.10.0",
        "rocm7.2.4_ubuntu22.04_py3.10_pytorch_release_2.8.0",
    ]
    found = newer_bases(form(), OURS, [*reversed(newer), *older])
    assert [one.tag for one in found] == newer
    assert [one.rocm for one in found] == ["7.10.0", "7.3.0", "7.2.4"]


@pytest.mark.parametrize(
    "tag",
    [
        "latest",
        "rocm7.3rc1_ubuntu22.04_py3.10_pytorch_release_2.9.1",
        "rocm7.3_ubuntu22.04_py3.10_pytorch_release_2.10.0a0",
        "rocm7.3_ubuntu22.04_py3.10_pytorch_2.9.1",
        "rocm7.3_ubuntu24.04_py3.12_pytorch_release_2.9.1",
        "rocm7.3_ubuntu22.04_py3.10_pytorch_release_2.9.1-profiler",
        "rocm7.3_ubuntu22.04_py3.10_pytorch_release_2.9.1\n",
        "rocm\u0667.3_ubuntu22.04_py3.10_pytorch_release_2.9.1",
        f"rocm{'9' * 5000}.3_ubuntu22.04_py3.10_pytorch_release_2.9.1",
        "rocm7.3.1.2.3.4_ubuntu22.04_py3.10_pytorch_release_2.9.1",
    ],
)
def test_pre_releases_and_tags_of_other_forms_are_none(tag: str) -> None:
    assert newer_bases(form(), OURS, [tag]) == ()


def source(ref: str = "v0.5.21", version: str = "0.5.21") -> Source:
    return Source(git="https://example.org/s.git", ref=ref, version=version, why="a test")


def test_releases_newer_than_ours_are_found_by_how_our_tag_is_written() -> None:
    tags = ["v0.5.9", "v0.5.21", "v0.5.22", "v0.5.100", "v0.6.0.post1", "v0.6.0"]
    assert [one.version for one in newer_releases(source(), tags)] == [
        "0.6.0.post1",
        "0.6.0",
        "0.5.100",
        "0.5.22",
    ]
    written = source("release-0.5.21-gpu")
    assert [x.tag for x in newer_releases(written, ["v0.6.0", "release-0.6.0-gpu"])] == [
        "release-0.6.0-gpu"
    ]


@pytest.mark.parametrize(
    "tag",
    ["v0.6.0rc1", "v0.6.0.dev1", "v0.6.0a0", "gateway-v0.6.0", "v0.6.0-gpu", "v6", "v0.6.0+cu", "v"]
    + [f"v0.{'9' * 500}.0", "v0.6.0\x1b[31m", "v\u0660.\u0666.\u0660"],
)
def test_pre_releases_and_tags_of_something_else_are_no_releases(tag: str) -> None:
    assert newer_releases(source(), [tag]) == ()


def test_a_commit_does_not_say_how_releases_are_tagged(project_matrix: Matrix) -> None:
    assert newer_releases(source("a" * 40), ["v0.6.0"]) == ()
    # Those of the project do.
    for cell in cells_of(project_matrix):
        own = cell.sources[cell.server.name]
        assert newer_releases(own, ["v999.0.0"])
