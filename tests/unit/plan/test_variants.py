"""A cell takes the first variant that fits it, and is refused where none does."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rocm_images.errors import MatrixError
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.plan.explain import explain
from rocm_images.plan.load import load
from rocm_images.recipe.render import render

PROJECT = Path(__file__).resolve().parents[3]
MatrixFile = Callable[..., Path]
AITER = """\
      aiter:
        git: https://example.org/aiter.git
        ref: c16d44b93a528b2a4bfd6d8d3409116d465872a9
        version: 0.1.19
        why: a reason
"""
SERVER = """\
      sglang:
        git: https://example.org/sglang.git
        ref: v0.5.21
        version: 0.5.21
        why: a reason
"""
TRITON = """\
    packages:
      triton:
        - {for: {rocm: "<7.2.1"}, version: "1", index: https://example.org/, why: a reason}
        - {for: {rocm: ">=7.2.1"}, version: "2", index: https://example.org/, why: a reason}
"""


def aiter(*variants: str) -> str:
    """The source with variants, each `for` and a version."""
    text = "      aiter:\n"
    for number, ranges in enumerate(variants):
        text += f"        - for: {{{ranges}}}\n" if ranges else "        - why: another\n"
        text += f"          git: https://example.org/aiter.git\n          ref: r{number}\n"
        text += f"          version: 0.{number}\n"
        text += "          why: a reason\n" if ranges else ""
    return text


def cells(path: Path) -> dict[str, Cell]:
    return {cell.name.removeprefix("sglang-"): cell for cell in cells_of(load(path))}


def taken(found: dict[str, Cell], source: str) -> dict[str, str]:
    return {name: cell.sources[source].version for name, cell in found.items()}


@pytest.mark.parametrize(
    ("ranges", "first"),
    [
        ('rocm: "<7.2.1"', {"942-rocm7.2.0", "950-rocm7.2.0"}),
        ("archs: [942]", {"942-rocm7.2.0", "942-rocm7.2.2"}),
        ('archs: [942], rocm: ">7.2.0"', {"942-rocm7.2.2"}),
        ('python: "<3.11"', {"942-rocm7.2.0", "942-rocm7.2.2", "950-rocm7.2.0", "950-rocm7.2.2"}),
        ('python: ">=3.11"', set()),
        ('torch: ">=2.11"', set()),
        ('server: ">=0.5.22"', set()),
        ('server: "==0.5.21", torch: "<2.11", archs: [950]', {"950-rocm7.2.0", "950-rocm7.2.2"}),
    ],
)
def test_the_first_variant_all_of_whose_ranges_hold_is_taken(
    matrix_file: MatrixFile, ranges: str, first: set[str]
) -> None:
    found = taken(cells(matrix_file((AITER, aiter(ranges, "")))), "aiter")
    assert {name for name, version in found.items() if version == "0.0"} == first
    assert set(found.values()) <= {"0.0", "0.1"}


def test_a_cell_that_no_variant_fits_is_refused_with_its_place_and_what_it_is(
    matrix_file: MatrixFile,
) -> None:
    path = matrix_file((AITER, aiter('rocm: ">=7.2.1"', "archs: [950]")))
    with pytest.raises(MatrixError) as caught:
        load(path)
    (problem,) = caught.value.problems
    line = path.read_text().splitlines()[problem.line - 1]
    assert line == "      aiter:"
    assert "'aiter' fits sglang-942-rocm7.2.0 (rocm 7.2.0, python 3.10, " in problem.sentence
    assert "add one whose `for` does" in problem.sentence


@pytest.mark.parametrize(
    ("bases", "also"), [("  - {base: 7.2.2, why: x}\n", ""), ("", ", and 1 other cell:")]
)
def test_one_other_cell_is_one(matrix_file: MatrixFile, bases: str, also: str) -> None:
    part = (AITER, aiter("archs: [950]"))
    excluded = ("date:", f"exclude:\n{bases}date:" if bases else "date:")
    with pytest.raises(MatrixError) as caught:
        load(matrix_file(part, excluded))
    (problem,) = caught.value.problems
    assert (also or "): add one") in problem.sentence
    assert "cells" not in problem.sentence


def test_every_part_that_fits_nothing_is_said_at_once(matrix_file: MatrixFile) -> None:
    none = 'torch: ">=3"'
    extra = ("      name: srt_hip\n", f"      name: srt_hip\n      for: {{{none}}}\n")
    with pytest.raises(MatrixError) as caught:
        load(matrix_file((AITER, aiter(none)), extra))
    assert len(caught.value.problems) == 2
    assert all("and 3 other cells" in problem.sentence for problem in caught.value.problems)


def test_what_is_excluded_needs_no_variant(matrix_file: MatrixFile) -> None:
    excluded = ("advisories:\n", "exclude: [{base: 7.2.0, why: x}]\nadvisories:\n")
    path = matrix_file((AITER, aiter('rocm: ">=7.2.1"')), excluded)
    assert set(cells(path)) == {"942-rocm7.2.2", "950-rocm7.2.2"}


def test_the_servers_version_is_chosen_first_and_names_the_tag(matrix_file: MatrixFile) -> None:
    newer = SERVER.replace("0.5.21", "0.5.23").replace(
        "sglang:\n        git", "sglang:\n        - git"
    )
    newer = newer.replace("\n        ", "\n          ").replace("          - git", "        - git")
    newer += '          for: {rocm: ">=7.2.1"}\n        - git: https://example.org/sglang.git\n'
    newer += "          ref: v0.5.21\n          version: 0.5.21\n          why: a reason\n"
    found = cells(matrix_file((SERVER, newer), (AITER, aiter('server: ">=0.5.22"', ""))))
    assert taken(found, "sglang")["942-rocm7.2.2"] == "0.5.23"
    assert found["942-rocm7.2.2"].tags[0] == "v0.5.23-rocm722-mi30x"
    assert found["942-rocm7.2.0"].tags[0] == "v0.5.21-rocm720-mi30x"
    assert taken(found, "aiter") == {name: "0.0" if "7.2.2" in name else "0.1" for name in found}


def test_pins_and_settings_follow_ranges_too(matrix_file: MatrixFile) -> None:
    setting = "        value: 1\n        why: a reason\n"
    only = (
        f"{setting}      OTHER:\n        for: {{archs: [950]}}\n        value: 7\n        why: w\n"
    )
    found = cells(matrix_file(("    extra:\n", f"{TRITON}    extra:\n"), (setting, only)))
    for name, cell in found.items():
        assert cell.packages["triton"].version == ("1" if "7.2.0" in name else "2")
        assert cell.env.get("OTHER") == ("7" if cell.arch == "950" else None)
    assert "triton==1 (from https://example.org/), for rocm <7.2.1" in explain(
        found["942-rocm7.2.0"]
    )


def test_an_advisory_is_about_the_sources_that_a_cell_is_built_from(
    matrix_file: MatrixFile,
) -> None:
    ranged = ('rocm: "<7.2.1"', 'sources: {aiter: ">=0.1"}')
    found = cells(matrix_file((AITER, aiter("archs: [942]", "")), ranged))
    for cell in found.values():
        assert bool(cell.advisories) is (cell.arch == "950")


@pytest.mark.parametrize(
    ("old", "new", "line", "sentence"),
    [
        (AITER, aiter("archs: [943]", ""), "        - for: {archs: [943]}", "known: 942 ("),
        (AITER, aiter("", 'rocm: ">7"'), '        - for: {rocm: ">7"}', "never taken: a variant"),
        (
            "        version: 0.5.21\n",
            '        version: 0.5.21\n        for: {server: ">1"}\n',
            '        for: {server: ">1"}',
            "chosen by",
        ),
        ("version: 0.5.21", "version: 0.5.21+rocm", "        version: 0.5.21+rocm", "makes no tag"),
        ("version: 0.5.21", "version: v0.5.21", "        version: v0.5.21", "makes no tag"),
        ("version: 0.5.21", "version: 1!0.5.21", "        version: 1!0.5.21", "makes no tag"),
        ("        ref: v0.5.21\n", "        reff: x\n", "        reff: x", "did you mean 'ref'"),
        (AITER, "      aiter: []\n", "      aiter: []", "list is empty"),
        ("  sglang:\n    repo", "  sgland:\n    repo", "  sgland:", "did you mean 'sglang'"),
        ('rocm: "<7.2.1"', "sources: {aitre: <1}", "      sources: {aitre: <1}", "mean 'aiter'"),
        ('rocm: "<7.2.1"', "servers: [vlm]", "      servers: [vlm]", "unknown inference server"),
    ],
)
def test_what_can_never_hold_is_said_where_it_stands(
    matrix_file: MatrixFile, old: str, new: str, line: str, sentence: str
) -> None:
    path = matrix_file((old, new))
    with pytest.raises(MatrixError) as caught:
        load(path)
    lines = path.read_text().splitlines()
    said = [(lines[p.line - 1], p.sentence) for p in caught.value.problems]
    assert any(line == where and sentence in what for where, what in said), said


def test_whatever_stands_behind_a_variant_for_every_cell_is_never_taken(
    matrix_file: MatrixFile,
) -> None:
    with pytest.raises(MatrixError) as caught:
        load(matrix_file((AITER, aiter("", 'rocm: ">7"', "archs: [942]"))))
    said = [problem.sentence for problem in caught.value.problems]
    assert said == ["never taken: a variant before it fits every cell"] * 2


PYTORCH = """\
    image: rocm/pytorch:rocm{release}_ubuntu22.04_py3.10_pytorch_release_2.9.1
    python: "3.10"
    torch: 2.9.1
"""
# As AMD's newest image of that release has it.
OF_10_1 = """\
    image: rocm/pytorch:rocm10.1.0_ubuntu24.04_py3.12_pytorch_release_2.14.0
    python: "3.12"
    torch: 2.14.0
"""


def with_releases(folder: Path, text: str, **blocks: str) -> Path:
    """A matrix with more bases, `r7_0_0=BLOCK` for 7.0.0."""
    bases = "".join(f"  {name[1:].replace('_', '.')}:\n{block}" for name, block in blocks.items())
    path = folder / "matrix.yaml"
    path.write_text(text.replace("\nbases:\n", f"\nbases:\n{bases}", 1))
    return path


def test_every_base_gets_its_own_pins_or_is_refused_with_a_place(tmp_path: Path) -> None:
    text = (PROJECT / "matrix.yaml").read_text()
    more = {"r7_0_0": PYTORCH.format(release="7.0"), "r7_1_1": PYTORCH.format(release="7.1.1")}
    path = with_releases(tmp_path, text, **more, r10_1_0=OF_10_1)
    with pytest.raises(MatrixError) as caught:
        load(path)
    lines = path.read_text().splitlines()
    refused = {
        (lines[problem.line - 1].strip(" :"), problem.sentence.split("rocm")[1].split(" ")[0])
        for problem in caught.value.problems
    }
    # Of several cells that a part fits not, the first is named.
    servers = load(PROJECT / "matrix.yaml").servers
    pins = {("triton", "7.0.0"), ("triton-kernels", "7.0.0")}
    assert refused == pins | {(server, "10.1.0") for server in servers}

    excluded = "".join(f"  - {{base: {base}, why: x}}\n" for base in ("7.0.0", "7.1.1", "10.1.0"))
    path = with_releases(
        tmp_path, text.replace("exclude: []", f"exclude:\n{excluded}"), **more, r10_1_0=OF_10_1
    )
    found = cells(path)
    assert {cell.rocm for cell in found.values()} >= {"7.2.0", "7.2.2", "7.2.4", "10.0.0"}
    for cell in (cell for cell in found.values() if cell.server.name == "sglang"):
        older = cell.rocm.startswith("7.2.")
        assert (cell.version, cell.extra and cell.extra.name) == (
            ("0.5.21", "srt_hip") if older else ("0.5.23", "srt_hip_rocm724")
        )
        assert ("rocm7.2" if older else "rocm10.0.0") in cell.packages["triton"].version
        assert ("triton-kernels" in cell.packages) is older


def test_the_sdk_is_installed_where_the_base_brings_no_rocm(tmp_path: Path) -> None:
    matrix = load(PROJECT / "matrix.yaml")
    rendered = list(render(matrix, cells_of(matrix)))
    texts = {cell.name: text for cell, text in rendered}
    for cell, text in rendered:
        sdk = cell.rocm.startswith("10.")
        assert ("rocm-sdk init" in text) is sdk
        assert ("sources.list.d/rocm.list" in text) is not sdk
        assert (f"rocm-sdk-device-{cell.gfx}==10.0.0" in text) is sdk
        # Of the index's builds for several releases pip would take the highest.
        assert not re.search(r"(torch\S*|triton)==\d[^+ ]* ", text) or not sdk
    # The kernels of a GPU come last: what the archs share names none.
    one, other = (texts[f"sglang-{arch}-rocm10.0.0"] for arch in ("942", "950"))
    shared = [text.split("\n\n", 1)[1].split("# ---- aiter:")[0] for text in (one, other)]
    assert shared[0] == shared[1]


@pytest.mark.parametrize(
    "wrong", ["version: 1", "index: https://x.org/", "why: w", "leave_out: 1, version: 1"]
)
def test_a_package_is_pinned_or_left_out(matrix_file: MatrixFile, wrong: str) -> None:
    reason = "" if wrong.startswith("why") else ", why: w"
    package = f"    packages:\n      triton: {{{wrong}{reason}}}\n    extra:\n"
    with pytest.raises(MatrixError, match="give version and index, or leave_out"):
        load(matrix_file(("    extra:\n", package)))
