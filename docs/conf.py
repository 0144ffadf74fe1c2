"""The site of these pages: Sphinx with furo and MyST; `make docs` takes a warning for an error.

The pages are written for GitHub as well: links are paths, and those that lead out of docs/ become
addresses here.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from docutils.nodes import document
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

DOCS = Path(__file__).resolve().parent
PROJECT = DOCS.parent
REPOSITORY = "https://github.com/rocm-serving-images/rocm-serving-images"

project = html_title = "rocm-serving-images"
extensions = ["myst_parser"]
myst_heading_anchors = 4
nitpicky = True
# An option in a sentence keeps both its dashes.
smartquotes = False
html_theme = "furo"
html_theme_options = {
    "source_repository": REPOSITORY,
    "source_branch": "main",
    "source_directory": "docs/",
}
html_copy_source = False
html_show_copyright = False
html_static_path = ["_static"]
html_css_files = ["site.css"]
# _check_places says it with where to add the page.
suppress_warnings = ["toc.not_included"]


def pages_of(index: str) -> list[str]:
    """The pages that the four lists of index.md name, in order, one that is named twice twice."""
    lists = re.findall(r"^```\{toctree\}\n(.*?)^```", index, flags=re.DOTALL | re.MULTILINE)
    lines = [line.strip() for text in lists for line in text.splitlines()]
    return [line for line in lines if line and not line.startswith(":")]


def misplaced(pages: Iterable[str], placed: list[str]) -> list[str]:
    """A sentence for every page that is not in exactly one part of the site."""
    return [
        f"docs/{page}.md is in {'no' if page not in placed else 'more than one'} part of the site: "
        "name it in one of the four lists of docs/index.md"
        for page in sorted(pages)
        if placed.count(page) != 1
    ]


def address(page: str, link: str) -> str | None:
    """Where a link out of docs/ leads; None where nothing is there, or the link is to a page."""
    path, mark, anchor = link.partition("#")
    # index.md shows README.md, whose links start at the project's folder.
    there = Path(os.path.normpath((PROJECT if page == "index" else DOCS) / path))
    if not path or not there.is_relative_to(PROJECT) or there.is_relative_to(DOCS):
        return None
    if not there.exists():
        return None
    kind = "tree" if there.is_dir() else "blob"
    return f"{REPOSITORY}/{kind}/main/{there.relative_to(PROJECT).as_posix()}{mark}{anchor}"


def _lead_out(app: Sphinx, doctree: document) -> None:
    """Turns links to files of the repository into addresses; Sphinx resolves the others."""
    from docutils import nodes
    from sphinx import addnodes

    for node in list(doctree.findall(addnodes.pending_xref)):
        if node.get("reftype") != "myst":
            continue
        target = node["reftarget"]
        # MyST has cut the suffix off what it took for a page.
        if node.get("refdomain") == "doc":
            anchor = f"#{node['reftargetid']}" if node.get("reftargetid") else ""
            target = f"{target}.md{anchor}"
        found = address(app.env.docname, target)
        if found:
            node.replace_self(nodes.reference("", "", *node.children, refuri=found))


def for_narrow_screens(body: str) -> str:
    """A page's HTML as site.css wants it: lines and options of code, cells that know their column.

    These where a table has three columns or more; a cell that says nothing has no label.
    """
    body = re.sub(r"<(pre|code)\b.*?</\1>", _whole_options, body, flags=re.DOTALL)
    body = re.sub(r"(?<=<pre>).*?(?=</pre>)", _hanging_lines, body, flags=re.DOTALL)
    return re.sub(r"<table\b.*?</table>", _labelled, body, flags=re.DOTALL)


def _whole_options(code: re.Match[str]) -> str:
    # And a comment does not begin at a line's end. Tags stay as they are.
    one = r"<[^>]*>|(?<=[\s>])(--?\w[\w-]*|# [^\s<]+)"

    def whole(found: re.Match[str]) -> str:
        return f'<span class="option">{found[0]}</span>' if found[1] else found[0]

    return re.sub(one, whole, code[0])


def _hanging_lines(code: re.Match[str]) -> str:
    return "".join(f'<span class="line">{one}</span>' for one in code[0].splitlines(keepends=True))


def _labelled(table: re.Match[str]) -> str:
    headings = re.findall(r"<th[ >].*?</th>", table[0], flags=re.DOTALL)
    if len(headings) < 3:
        return table[0]
    names = itertools.cycle(_text(one).replace('"', "&quot;") for one in headings)

    def cell(found: re.Match[str]) -> str:
        name = next(names)
        return f'<td data-label="{name}"{found[0][3:]}' if _text(found[0]) else found[0]

    labelled = re.sub(r"<td[ >].*?</td>", cell, table[0], flags=re.DOTALL)
    return labelled.replace('<table class="', '<table class="labelled ', 1)


def _text(element: str) -> str:
    return re.sub(r"<.*?>", "", element, flags=re.DOTALL).strip()


def _fit(_: Sphinx, __: str, ___: str, context: dict[str, Any], ____: document | None) -> None:
    if "body" in context:
        context["body"] = for_narrow_screens(context["body"])


def _check_places(_: Sphinx, env: BuildEnvironment) -> None:
    from sphinx.util import logging

    index = (Path(env.srcdir) / "index.md").read_text(encoding="utf-8")
    for sentence in misplaced(set(env.all_docs) - {"index"}, pages_of(index)):
        logging.getLogger(__name__).warning(sentence)


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    if app.tags.has("published"):
        html_theme_options["announcement"] = (
            '<a href="published/catalogue.html">The published images</a>'
        )
    app.connect("doctree-read", _lead_out)
    app.connect("html-page-context", _fit)
    app.connect("env-check-consistency", _check_places)
