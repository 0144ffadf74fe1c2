"""docs/conf.py: every page is in one part of the site, and links lead where they do on GitHub."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import yaml

DOCS = Path(__file__).resolve().parents[2] / "docs"
SITE = runpy.run_path(str(DOCS / "conf.py"))
REPOSITORY = SITE["REPOSITORY"]
INDEX = (DOCS / "index.md").read_text()


def test_every_page_is_in_one_of_the_four_parts() -> None:
    pages = {path.stem for path in DOCS.glob("*.md")} - {"index"}
    placed = SITE["pages_of"](INDEX)
    assert SITE["misplaced"](pages, placed) == []
    assert set(placed) == pages
    assert INDEX.count("```{toctree}") == INDEX.count(":caption: ") == 4


def test_a_page_that_is_in_no_part_or_in_two_is_told_where_it_belongs() -> None:
    placed = SITE["pages_of"](
        "```{toctree}\n:caption: A\n\none\ntwo\n```\n\n```{toctree}\n\ntwo\n```\n"
    )
    assert placed == ["one", "two", "two"]
    assert SITE["misplaced"]({"one", "two", "three"}, placed) == [
        "docs/three.md is in no part of the site: "
        "name it in one of the four lists of docs/index.md",
        "docs/two.md is in more than one part of the site: "
        "name it in one of the four lists of docs/index.md",
    ]


@pytest.mark.parametrize(
    ("page", "link", "leads"),
    [
        ("index", "matrix.yaml", "/blob/main/matrix.yaml"),
        ("index", "images/rootfs", "/tree/main/images/rootfs"),
        ("index", "CONTRIBUTING.md#rules", "/blob/main/CONTRIBUTING.md#rules"),
        ("emulation", "../tests/conformance/README.md", "/blob/main/tests/conformance/README.md"),
        ("index", "docs/engine.md", None),
        ("emulation", "engine.md", None),
        ("emulation", "#a-heading", None),
        ("emulation", "../no-such-file.md", None),
        ("emulation", "../../outside.md", None),
    ],
)
def test_a_link_out_of_docs_leads_to_the_file_in_the_repository(
    page: str, link: str, leads: str | None
) -> None:
    assert SITE["address"](page, link) == (REPOSITORY + leads if leads else None)


def test_the_site_is_deployed_with_the_page_that_was_published_and_leads_to_it() -> None:
    folder = DOCS.parent / ".github" / "workflows"
    images, pages = (
        yaml.safe_load((folder / name).read_text())["jobs"] for name in ("images.yml", "pages.yml")
    )
    (sent,) = (
        step["with"]["path"].split()
        for step in images["publish"]["steps"]
        if step.get("with", {}).get("name") == "catalogue"
    )
    assert "build/catalogue.html" in sent
    steps = {step.get("uses", "").partition("@")[0]: step for step in pages["deploy"]["steps"]}
    site = Path(steps["actions/upload-pages-artifact"]["with"]["path"])
    beside = Path(steps["actions/download-artifact"]["with"]["path"])
    there = f"{beside.relative_to(site)}/catalogue.html"
    assert pages["deploy"]["environment"]["url"].endswith(f"page_url }}}}{there}")
    assert f'href="{there}"' in (DOCS / "conf.py").read_text()
    assert f"docs {site}" in (DOCS.parent / "Makefile").read_text()


def test_a_cell_of_a_wide_table_knows_its_column_and_a_narrow_table_stays() -> None:
    wide = (
        '<table class="a"><thead><tr><th>A</th><th class="b"><p>B</p></th><th></th></tr></thead>'
        '<tbody><tr><td>1</td><td><p></p></td><td class="c">3</td></tr></tbody></table>'
    )
    assert re.findall(r"<t[ad].*?>", SITE["for_narrow_screens"](wide)) == [
        '<table class="labelled a">',
        '<td data-label="A">',
        "<td>",
        '<td data-label="" class="c">',
    ]
    narrow = wide.replace("<th></th>", "").replace('<td class="c">3</td>', "")
    assert SITE["for_narrow_screens"](narrow) == narrow


def test_lines_and_options_of_code_are_marked_and_no_others() -> None:
    option = '<span class="option">--sign-key</span>'
    page = "<pre>a-b --sign-key # why not\nc\n</pre><p>--sign-key</p><code><i>--sign-key</i></code>"
    assert SITE["for_narrow_screens"](page) == (
        f'<pre><span class="line">a-b {option} <span class="option"># why</span> not\n</span>'
        '<span class="line">c\n</span></pre>'
        f"<p>--sign-key</p><code><i>{option}</i></code>"
    )
