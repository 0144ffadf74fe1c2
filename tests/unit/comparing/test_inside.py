"""What an image says of the recipe that made it is a text of an image that anybody made."""

from __future__ import annotations

import pytest

from rocm_images.comparing.inside import _recipe_of


@pytest.mark.parametrize(
    "label", [None, "", "[]", "{}", "nothing", '{"dockerfile": "abc"}', '{"dockerfile": ["abc"]}']
)
def test_the_recipe_is_what_a_label_says_or_nobodys(label: str | None) -> None:
    labels = {} if label is None else {"rocm-serving-images.inputs": label}
    assert (_recipe_of(labels) == "abc") is (label == '{"dockerfile": "abc"}')
