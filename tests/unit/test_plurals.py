"""One of something is never said in the plural: numbers are told by telling.counted."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from rocm_images import telling

PROGRAM = Path(telling.__file__).parent
_VERBS = {"name"}
"""Nouns whose plural is a verb as well: `{variable} names it`."""


def counted_nouns(tree: ast.AST) -> Iterator[str]:
    """The last words of what `counted` is called with."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("counted"):
            for noun in node.args[1:]:
                if isinstance(noun, ast.Constant):
                    yield str(noun.value).rpartition(" ")[2]


def plurals_after_a_value(tree: ast.AST, nouns: set[str]) -> Iterator[str]:
    """Each `{value} nouns` of a text, which says `1 nouns` of one."""
    for node in ast.walk(tree):
        parts = node.values if isinstance(node, ast.JoinedStr) else []
        for before, text in pairwise(parts):
            if isinstance(before, ast.FormattedValue) and isinstance(text, ast.Constant):
                gap, word, _ = (*str(text.value).split(" ", 2), "", "")[:3]
                if not gap and word.rstrip(".,:;)\n").removesuffix("s") in nouns - {word}:
                    yield f"{node.lineno}: {ast.unparse(before)} {word}"


def test_one_of_something_is_never_said_in_the_plural() -> None:
    trees = {path: ast.parse(path.read_text()) for path in sorted(PROGRAM.rglob("*.py"))}
    nouns = {noun for tree in trees.values() for noun in counted_nouns(tree)} - _VERBS
    assert {"image", "tag", "layer"} <= nouns
    found = [
        f"{path.relative_to(PROGRAM)}:{one}"
        for path, tree in trees.items()
        for one in plurals_after_a_value(tree, nouns)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('f"{len(tags)} tags, all"', 1),
        ('f"{tags} tags"', 1),
        ('f"the tags {tags}"', 0),
        ("f\"{counted(1, 'tag')} of it\"", 0),
        ('f"{tag} tag"', 0),
    ],
)
def test_a_plural_after_a_value_is_found(line: str, found: int) -> None:
    assert len(list(plurals_after_a_value(ast.parse(line), {"tag"}))) == found
