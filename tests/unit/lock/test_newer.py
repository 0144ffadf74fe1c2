"""What is newer upstream is tried in the matrix: what changes is said, and what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rocm_images.errors import InputError
from rocm_images.lock.forms import BaseTag
from rocm_images.lock.newer import (
    MOST_SHOWN,
    NewerBase,
    News,
    forms_of,
    servers_of,
    tried_bases,
    tried_release,
)
from rocm_images.lock.news import lines_of
from rocm_images.lock.report import lock_report
from rocm_images.lock.take import newest_of, with_base
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.load import load

FORM = "rocm{}_py{}_torch{}"
# The small matrix's bases with tags that say everything.
FORMED = (
    ("rocm/pytorch:rocm7.2\n", f"rocm/pytorch:{FORM.format('7.2', '3.10', '2.9.1')}\n"),
    ("rocm/pytorch:rocm7.2.2\n", f"rocm/pytorch:{FORM.format('7.2.2', '3.10', '2.9.1')}\n"),
)
NEWER = FORM.format("7.3", "3.12", "2.10.0")
LATER = """\
  - id: later
    component: HIP runtime
    affected: {rocm: ">=7.3"}
    symptom: a crash
    set: {SGLANG_USE_AITER_AR: 0}
    why: a reason
    references: [a/b#1]
date: 2026-11-24
"""


def bases(matrix: Matrix, *tags: str) -> tuple[NewerBase, ...]:
    ((form, newest),) = forms_of(matrix).items()
    return tuple(tried_bases(matrix, form, newest, tags))


@pytest.fixture
def formed(matrix_file: Callable[..., Path]) -> Callable[..., Matrix]:
    return lambda *more: load(matrix_file(*FORMED, *more))


def test_the_newest_of_each_form_is_what_upstream_is_held_to(formed: Callable[..., Matrix]) -> None:
    (newest,) = forms_of(formed()).values()
    assert newest == BaseTag(FORM.format("7.2.2", "3.10", "2.9.1"), "7.2.2", "3.10", "2.9.1")
    assert {name: one.version for name, one in servers_of(formed()).items()} == {"sglang": "0.5.21"}


def test_a_newer_base_is_said_with_python_torch_advisories_and_all_reduce(
    formed: Callable[..., Matrix],
) -> None:
    (newer,) = bases(formed(("date: 2026-11-24\n", LATER)), NEWER)
    assert (newer.rocm, newer.instead_of) == ("7.3.0", "7.2.2")
    (one,) = newer.consequences
    assert (one.server, one.come, one.go, one.cannot) == ("sglang", ("later",), (), ())
    assert one.all_reduce == (("aiter", "sglang"),)
    (first, second) = lines_of(News((newer,)))
    assert first == (
        f"newer base 7.3.0: rocm/pytorch:{NEWER} (Python 3.10 -> 3.12, torch 2.9.1 -> 2.10.0; "
        "newest here 7.2.2)"
    )
    assert second.startswith("  sglang: advisories: later come; all-reduce: ")
    assert second.endswith("all-reduce: aiter -> sglang")


def test_an_advisory_that_a_newer_base_is_free_of_goes(formed: Callable[..., Matrix]) -> None:
    matrix = formed(('rocm: "<7.2.1"', 'rocm: "<7.2.9"'))
    (one,) = bases(matrix, NEWER)[0].consequences
    assert (one.come, one.go) == ((), ("hip-event-query",))


def test_what_fits_no_variant_is_said_and_its_advisories_all_the_same(
    formed: Callable[..., Matrix],
) -> None:
    narrow = ("      aiter:\n        git", '      aiter:\n        for: {rocm: "<7.3"}\n        git')
    matrix = formed(narrow, ('rocm: "<7.2.1"', 'rocm: "<7.2.9"'))
    (newer,) = bases(matrix, NEWER)
    (one,) = newer.consequences
    assert one.cannot == (
        "no variant of 'aiter' fits sglang-942-rocm7.3.0 (rocm 7.3.0, python 3.12, torch 2.10.0, "
        "sglang 0.5.21), and 1 more: add one",
    )
    assert (one.go, one.all_reduce) == (("hip-event-query",), ())
    assert list(lines_of(News((newer,))))[2] == f"    cannot: {one.cannot[0]}"


def test_another_image_of_the_same_rocm_is_no_base_of_its_own(
    formed: Callable[..., Matrix],
) -> None:
    matrix = formed()
    found = bases(matrix, FORM.format("7.2.2", "3.10", "2.10.0"))
    assert [one.rocm for one in found] == ["7.2.2"]
    assert newest_of(matrix, found) is None
    assert newest_of(matrix, [*found, *bases(matrix, NEWER)]) == bases(matrix, NEWER)[0]


def test_the_newest_base_that_fits_is_taken_before_a_newer_one_that_does_not(
    formed: Callable[..., Matrix],
) -> None:
    narrow = ("      aiter:\n        git", '      aiter:\n        for: {rocm: "<7.3"}\n        git')
    matrix = formed(narrow)
    found = bases(matrix, NEWER, FORM.format("7.2.9", "3.10", "2.9.1"))
    assert [one.rocm for one in found] == ["7.3.0", "7.2.9"]
    assert newest_of(matrix, found) == found[1]
    assert newest_of(matrix, found[:1]) == found[0]


def test_of_many_newer_ones_the_newest_are_tried(formed: Callable[..., Matrix]) -> None:
    tags = [FORM.format(f"8.{minor}", "3.12", "2.10.0") for minor in range(500)]
    found = bases(formed(), *tags)
    assert [one.rocm for one in found] == [f"8.{499 - n}.0" for n in range(MOST_SHOWN)]


def test_a_newer_release_is_tried_where_the_newest_of_ours_is(
    formed: Callable[..., Matrix],
) -> None:
    bound = (
        "      aiter:\n        git",
        '      aiter:\n        for: {server: "<0.6"}\n        git',
    )
    matrix = formed(bound)
    ours = servers_of(matrix)["sglang"]
    fits = tried_release(matrix, "sglang", ours, ["v0.5.22", "v0.5.23", "v0.5.24rc1"])
    assert fits is not None
    assert (fits.release.tag, fits.between, fits.instead_of) == ("v0.5.23", ("0.5.22",), "0.5.21")
    assert [one.cannot for one in fits.consequences] == [()]
    cannot = tried_release(matrix, "sglang", ours, ["v0.6.0"])
    assert cannot is not None
    (sentence,) = cannot.consequences[0].cannot
    assert sentence.startswith("no variant of 'aiter' fits sglang-942-rocm7.2.0 ")
    assert "sglang 0.6.0" in sentence
    assert sentence.endswith(", and 3 more: add one")
    assert tried_release(matrix, "sglang", ours, ["v0.5.20", "v0.5.21"]) is None


def test_the_page_says_what_is_newer_beside_what_moved(formed: Callable[..., Matrix]) -> None:
    matrix = formed()
    release = tried_release(matrix, "sglang", servers_of(matrix)["sglang"], ["v0.6.0"])
    assert release is not None
    news = News(bases(matrix, NEWER), (release,), ("r.example.org/x: its tags are not known",))
    page = lock_report(matrix, (), (), news)
    assert page.startswith("Nothing moved.\n\n### What is newer upstream\n\n| Newer |")
    assert "| Newer | Newest here | python | torch | Server |" in page
    base = f"| 7.3.0: {bases(matrix, NEWER)[0].base.image} | 7.2.2 | 3.10 → 3.12 | 2.9.1 → 2.10.0 |"
    assert base in page
    release_row = r"| sglang v0.6.0 | 0.5.21 | \- | \- | sglang | the same | stays sglang, aiter |"
    assert release_row in page
    assert page.endswith(
        "### What could not be asked\n\n- r.example.org/x: its tags are not known\n"
    )
    assert "newer" not in lock_report(matrix, (), (), News())


def test_in_the_page_what_stays_has_no_arrow_and_what_changes_has(
    formed: Callable[..., Matrix],
) -> None:
    matrix = formed(("date: 2026-11-24\n", LATER))
    same = lock_report(matrix, (), (), News(bases(matrix, FORM.format("7.2.9", "3.10", "2.9.1"))))
    assert "| 7.2.2 | 3.10 | 2.9.1 | sglang | the same | stays aiter | yes |" in same
    other = lock_report(matrix, (), (), News(bases(matrix, NEWER)))
    assert "| 3.10 → 3.12 | 2.9.1 → 2.10.0 | sglang | later come | aiter → sglang | yes |" in other


def test_the_newest_base_is_written_below_ours_and_every_other_byte_stays(
    formed: Callable[..., Matrix], matrix_file: Callable[..., Path]
) -> None:
    (newer,) = bases(formed(), NEWER)
    path = matrix_file(*FORMED, ("servers:\n", "\n# Of the servers.\nservers:\n"))
    before = path.read_text()
    block = f'  7.3.0:\n    image: rocm/pytorch:{NEWER}\n    python: "3.12"\n    torch: 2.10.0\n'
    after = with_base(before, newer, "matrix.yaml")
    assert after == before.replace("    recommended: true\n", f"    recommended: true\n{block}")
    path.write_text(after)
    assert load(path).bases["7.3.0"] == newer.base
    # Whatever ends its lines, and where the last has no end.
    odd = before.replace("\n", "\r\n")
    assert with_base(odd, newer, "m") == after.replace("\n", "\r\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bases: {7.2.2: {image: x}}\n",
        "bases:\n  7.2.0:\n    image: x\n",
        "a:\n  7.2.2:\n    b: c\n",
    ],
)
def test_bases_that_are_not_written_as_blocks_are_left_to_a_person(
    formed: Callable[..., Matrix], text: str
) -> None:
    (newer,) = bases(formed(), NEWER)
    with pytest.raises(InputError, match="add it by hand"):
        with_base(text, newer, "matrix.yaml")
