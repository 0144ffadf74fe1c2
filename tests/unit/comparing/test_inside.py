"""What a container prints of its packages is read as texts of an image that anybody made."""

from __future__ import annotations

import pytest

from rocm_images.comparing.facts import Installed
from rocm_images.comparing.inside import _installed, _packages, _recipe_of

OUTPUT = """\
date\t1700000000
dpkg\tbash\t5.2\t7000\t1600000000
dpkg\tlibnuma1\t2.0\t80\t1700000000
pip\ttorch\t2.9.1\t4000000000\t1600000000
pip\tsglang\t0.5.21\t52000000\t1700000000
pip\tsglang\t0.0.1\t1\t1
"""


def test_sizes_are_bytes_and_what_has_the_recipes_date_is_the_recipes() -> None:
    assert _installed(OUTPUT) == {
        "dpkg": {
            "bash": Installed(7_168_000, by_recipe=False),
            "libnuma1": Installed(81_920, by_recipe=True),
        },
        "pip": {
            "sglang": Installed(52_000_000, by_recipe=True),
            "torch": Installed(4_000_000_000, by_recipe=False),
        },
    }
    assert _packages(OUTPUT)["pip"] == {"sglang": "0.5.21", "torch": "2.9.1"}


@pytest.mark.parametrize(
    ("date", "by_recipe"),
    [
        ("1699999999", False),
        ("1700000000", True),
        # STAGE_SECOND of the dependencies, and of kernels and server.
        ("1700000002", True),
        ("1700000003", True),
        ("1700000059", True),
        ("1700000060", False),
        ("", False),
        ("-1700000002", False),
        ("soon", False),
        ("\u0661\u0667", False),
        ("9" * 5000, False),
    ],
)
def test_a_package_is_the_recipes_in_every_second_of_its_date(date: str, by_recipe: bool) -> None:
    output = f"date\t1700000000\ndpkg\ta\t1\t1\t{date}\npip\tb\t1\t1\t{date}\n"
    assert {one.by_recipe for kind in _installed(output).values() for one in kind.values()} == {
        by_recipe
    }


def test_a_date_of_the_recipe_that_is_no_number_is_nobodys() -> None:
    output = "date\tsoon\ndpkg\ta\t1\t1\tsoon\n"
    assert _installed(output)["dpkg"] == {"a": Installed(1024, by_recipe=False)}


def test_an_image_of_another_project_has_no_package_of_the_recipe() -> None:
    other = OUTPUT.partition("\n")[2]
    assert {one.by_recipe for kind in _installed(other).values() for one in kind.values()} == {
        False
    }


@pytest.mark.parametrize(
    "line", ["dpkg\ta\t1", "dpkg\ta\t1\t-5\t", f"pip\ta\t1\t{'9' * 400}\t1", "pip\ta\t1\tmuch"]
)
def test_a_size_that_is_none_is_not_known(line: str) -> None:
    assert {kind: list(found) for kind, found in _installed(line).items()} == {
        "dpkg": [],
        "pip": [],
    }
    assert [*_packages(line)["dpkg"], *_packages(line)["pip"]] == ["a"]


@pytest.mark.parametrize(
    "label", [None, "", "[]", "{}", "nothing", '{"dockerfile": "abc"}', '{"dockerfile": ["abc"]}']
)
def test_the_recipe_is_what_a_label_says_or_nobodys(label: str | None) -> None:
    labels = {} if label is None else {"rocm-serving-images.inputs": label}
    assert (_recipe_of(labels) == "abc") is (label == '{"dockerfile": "abc"}')
