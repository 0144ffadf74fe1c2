"""What the documents say is what the program does."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rocm_images.engine.run_flags import AS_DEPLOYED, LEFT_OUT
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load
from rocm_images.plan.selection import Choice

PROJECT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("name", ["README.md", "docs/images.md"])
def test_the_documents_list_images_of_the_matrix_with_their_tags_and_defaults(
    name: str, project_matrix: Matrix
) -> None:
    page = (PROJECT / name).read_text()
    cells = {cell.reference(cell.tags[0]): cell for cell in cells_of(project_matrix)}
    repositories = "|".join(sorted({cell.repository for cell in cells.values()}))
    rows = re.findall(rf"^\| `((?:{repositories}):[^`]+)`.*", page, flags=re.MULTILINE)
    # A base that is added needs no row; one that is recommended does.
    assert {name for name, cell in cells.items() if cell.recommended} <= set(rows)
    for name in rows:
        (row,) = (line for line in page.splitlines() if line.startswith(f"| `{name}`"))
        cell = cells[name]
        assert all(tag in row for tag in cell.tags)
        chosen = cell.server.all_reduce
        own = cell.all_reduce == cell.server.name
        assert f"{chosen.titles[cell.all_reduce]}'s{' own' if own else ''}" in row
        # What decides it, where this release has anything that does.
        switches = (*chosen.requires, chosen) if chosen.is_read_by(cell.version) else ()
        deciding = [one for one in switches if one.name in cell.env]
        assert not deciding or f"{deciding[0].name}={cell.env[deciding[0].name]}" in row


def test_the_base_that_the_readme_adds_gets_its_default_by_its_version(
    with_bases: Callable[..., Path],
) -> None:
    matrix = load(with_bases("7.2.4"))
    added = {cell.rocm: cell for cell in Choice().of(matrix, cells_of(matrix))}["7.2.4"]
    assert added.all_reduce == "aiter"
    assert "device-name" in [advisory.id for advisory in added.advisories]


def test_every_dependency_has_its_line() -> None:
    text = (PROJECT / "docs" / "dependencies.md").read_text()
    for file in ("requirements.in", "requirements-dev.in"):
        for line in (PROJECT / file).read_text().splitlines():
            name = re.split(r"[<>=;]", line)[0].strip()
            if name and not name.startswith(("#", "-")):
                assert name in text or name.split("-")[0] + "-*" in text, name


def commands_on_gpus() -> list[tuple[str, str]]:
    """Every `docker run` of the documents that gives devices, as one line, with its file."""
    found = []
    for path in (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))):
        text = path.read_text().replace("\\\n", " ")
        for line in re.findall(r"^ *(docker run .*--device.*)$", text, re.MULTILINE):
            found.append((path.name, " ".join(line.split())))
    return found


def test_every_command_on_gpus_has_the_flags_that_images_are_deployed_and_tested_with() -> None:
    found = commands_on_gpus()
    assert {name for name, _ in found} == {"README.md", "capture-guard.md", "selftest.md"}
    assert [one for one in found if AS_DEPLOYED not in one[1]] == []
    more = [flag.text for flag in LEFT_OUT]
    more += [text.replace(" ", "=") for text in more]
    assert [(name, text) for name, line in found for text in more if text in line] == []


def test_the_page_on_scaling_has_the_table_that_its_script_computes() -> None:
    script = PROJECT / "benchmarks" / "scaling.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    page = (PROJECT / "docs" / "scaling.md").read_text()
    between = page.partition("<!-- benchmarks/scaling.py -->")[2].partition("<!-- end -->")[0]
    assert between.strip() == done.stdout.strip()
