"""What docs/pattern_words.py and docs/crash_words.py make of a pattern."""

from __future__ import annotations

import re

import pytest
from crash_words import LINES, phrases_of, words_of
from pattern_words import alternatives, literal


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("one line", ["one line"]),
        (r"a|b\|c|[|]d", ["a", r"b\|c", "[|]d"]),
        (r"hipIpc(?:Get|Open)MemHandle", ["hipIpcGetMemHandle", "hipIpcOpenMemHandle"]),
        ("x(?:a(?:b|c)|d)y", ["xaby", "xacy", "xdy"]),
        ("(?:a|b)(?:c|d)", ["ac", "ad", "bc", "bd"]),
        ("(?:CUDA|HIP|cuda|hip)E", ["(?:CUDA|cuda)E", "(?:HIP|hip)E"]),
        ("[DS]RAM|[eE]rror", ["DRAM", "SRAM", "(?:e|E)rror"]),
        ("a(?: b| c)?d", ["a(?: b| c)?d"]),
        (r"(?<!no )a(?!b|c)|(?P<code>\d)", ["(?<!no )a(?!b|c)", r"(?P<code>\d)"]),
    ],
)
def test_the_alternatives_of_a_pattern(pattern: str, found: list[str]) -> None:
    assert list(alternatives(pattern)) == found


@pytest.mark.parametrize(
    ("alternative", "words"),
    [
        (r"out of memory\. Tried", "out of memory. Tried"),
        (r"(?:HIP|hip)ErrorAssert\b", "hipErrorAssert"),
        (r"\b(?:HIP|hip)(?!cc)[\w ]{0,40}error:? (?:code:? )?900\b", "HIP error 900"),
        (r"\]: +Code: 900\b", "]: Code: 900"),
        (r"\]: {1,8}Code: 900\b", "]: Code: 900"),
        (r"^(?:ERROR: +)?\[SSL\]", "[SSL]"),
        (r"Triton Error \[HIP\]", "Triton Error [HIP]"),
        (r"Timed out waiting \d+ms", None),
        (r"hipcc.{0,80}failed", None),
        (r"HSA_STATUS_ERROR_\w+", None),
    ],
)
def test_the_words_of_an_alternative_or_none_where_it_only_describes_some(
    alternative: str, words: str | None
) -> None:
    assert literal(alternative) == words
    assert words is None or re.search(alternative, words)


def test_what_is_shown_is_not_said_again() -> None:
    assert words_of("no-such-cause", ["one|two"], "line two") == ["one"]
    assert phrases_of("no-such-cause", ["one|tw"], "line two") == ["one", "two"]


def test_of_hip_and_cuda_both_are_words_and_hips_is_in_the_index() -> None:
    patterns = ["(?:CUDA|HIP|cuda|hip)ErrorAssert"]
    assert words_of("no-such-cause", patterns, "") == ["hipErrorAssert", "cudaErrorAssert"]
    assert phrases_of("no-such-cause", patterns, "") == ["hipErrorAssert"]


def test_a_line_of_the_table_comes_first_and_has_its_twin() -> None:
    lines = words_of("illegal-address", ["(?:CUDA|HIP) error: an? illegal memory"], "")
    assert lines == [
        *LINES["illegal-address"],
        "CUDA error: an illegal memory access was encountered",
    ]


def test_a_pattern_without_words_asks_for_a_line() -> None:
    with pytest.raises(LookupError, match=r"no line of no-such-cause has what .* add one to LINES"):
        words_of("no-such-cause", [r"after \d+ s"], "nothing")
