"""A text of others is shown as it is, wherever it stands on a page: a reader is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from rocm_images import markdown

NASTY = [
    "<script>alert(1)</script> <!-- <?x?> <a@example.org> <https://example.org>",
    "&lt; &#60; R&D &copy;",
    "**bold** *it* _it_ __init__ a_b_c ~~no~~ ~no~ 7.2.4-1~exp2",
    "[a](https://example.org) ![a](b.png) [a]: b",
    "a | b || c",
    "a \\| b \\\\| c \\ d \\* e",
    "`code` ``two`` ` ```three",
    "`",
    "| a |",
    "# heading",
    "## heading ##x",
    "> quoted",
    ">quoted",
    "- an item",
    "* an item",
    "+ an item",
    "-",
    "two\nlines\r\n\r\n# of them",
    "ROCm <7.2.1, torch >=2.11",
]
PLAIN = [
    "ROCm <7.2.1, >=7.1",
    "test_the_environment of find_buildx",
    "R & D",
    "--check",
    "#23581",
    "3 of 3 tests passed (static)",
]
reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def flat(content: str) -> str:
    return " ".join(content.split())


def inlines(page: str) -> Iterator[list[Token]]:
    """What the page says, place by place."""
    for token in reader.parse(page):
        if token.type == "inline":
            yield token.children or []


def said(page: str, kind: str = "text") -> list[str]:
    """The texts of the page, in which nothing but such text is."""
    found = []
    for tokens in inlines(page):
        assert {token.type for token in tokens} <= {kind}
        found.append("".join(token.content for token in tokens))
    return found


def blocks(page: str) -> list[str]:
    return [token.tag for token in reader.parse(page) if token.nesting == 1]


@pytest.mark.parametrize("content", NASTY + PLAIN)
def test_a_text_is_shown_as_it_is_and_does_nothing(content: str) -> None:
    shown = markdown.text(content)
    assert (said(shown), blocks(shown)) == ([flat(content)], ["p"])
    assert (said(f"- {shown}"), blocks(f"- {shown}")) == ([flat(content)], ["ul", "li", "p"])
    # A heading's last # belong to it: another text comes before them.
    assert said(f"### {shown}: x") == [f"{flat(content)}: x"]


@pytest.mark.parametrize("content", PLAIN)
def test_a_text_that_does_nothing_is_not_touched(content: str) -> None:
    assert markdown.text(content) == content


@pytest.mark.parametrize("content", NASTY + PLAIN)
def test_code_ends_where_it_is_to_end(content: str) -> None:
    assert said(markdown.code(content), "code_inline") == [flat(content)]


def test_no_code_is_nothing() -> None:
    assert markdown.code("") == markdown.code(" \n") == ""


@pytest.mark.parametrize("content", NASTY + PLAIN)
def test_a_text_stays_in_its_cell_of_a_table(content: str) -> None:
    page = markdown.table(("Name", "Next"), [(markdown.text(content), "x"), ("y", "z")])
    assert said(page) == ["Name", "Next", flat(content), "x", "y", "z"]


@pytest.mark.parametrize("content", NASTY + PLAIN)
def test_code_stays_in_its_cell_of_a_table(content: str) -> None:
    page = markdown.table(("Name", "Next"), [(markdown.code(content), "x")])
    _, _, code, after = inlines(page)
    assert [token.type for token in code] == ["code_inline"]
    # Of an odd number of backslashes before a |, the table takes one: code cannot say otherwise.
    assert code[0].content == re.sub(r"(?<!\\)((?:\\\\)*)\\\|", r"\1|", flat(content))
    assert after[0].content == "x"


def test_a_column_of_numbers_is_aligned_at_the_right() -> None:
    page = markdown.table(("Cell", "MB"), [("942", "1")], right=("MB",))
    assert page == "| Cell | MB |\n|---|---:|\n| 942 | 1 |"


@pytest.mark.parametrize("line", ["```", "````", "~~~", "a ``` b", "# no", "<b>", "", "    x"])
def test_a_block_shows_its_lines_to_the_last(line: str) -> None:
    lines = ["first", line, "# last"]
    (token,) = reader.parse(markdown.block(lines))
    assert (token.type, token.content.splitlines()) == ("fence", lines)
