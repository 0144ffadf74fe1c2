"""Every table of the program reads well on terminals of 80 and of 140 columns: each is made of
made-up rows that are as long as real ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner

from made_up_catalogue import FIRST, digest, entry, evidence
from rocm_images.build.summary import CellReport, Result, evidence_table, summary_table
from rocm_images.cli.main import main
from rocm_images.comparing.difference import difference
from rocm_images.comparing.facts import ImageFacts, LayerFact
from rocm_images.comparing.text import as_text
from rocm_images.distributing.prune_report import report
from rocm_images.engine.layers import Layer, size_report
from rocm_images.lock.changes import Change
from rocm_images.lock.file import source_key
from rocm_images.lock.newer import News, forms_of, servers_of, tried_bases, tried_release
from rocm_images.lock.news import lines_of
from rocm_images.matrix.schema import Budget, Matrix
from rocm_images.places import PROJECT
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.plan.load import load
from rocm_images.publishing.budget import Spent, budget_table
from rocm_images.publishing.registry_sizes import ImageSizes
from rocm_images.publishing.registry_sizes import as_text as registry_sizes
from rocm_images.publishing.report import dry_run, moves_table, publication_table
from rocm_images.publishing.scanning import scan_table
from rocm_images.sizes import Sizes
from rocm_images.smoke.evidence import Level
from rocm_images.tables import room

SIZES = Sizes(12_450_000_000, 45_600_000_000)
STEP = "RUN --mount=type=cache,target=/root/.cache/ccache cd sgl-kernel && python setup_rocm.py..."


def immutable(cell: Cell) -> str:
    return f"{cell.tags[0]}-rehearsal-0123456789ab"


def summary(cells: tuple[Cell, ...]) -> str:
    def report(cell: Cell) -> CellReport:
        tag = f"{cell.reference(cell.tags[0])}-rehearsal"
        result = Result.SMOKE_FAILED if "7.2.2" in cell.name else Result.TESTED
        return CellReport(cell.name, result, tag, digest(cell.name), SIZES, 2760.4).tested(
            evidence(cell, Level.EMULATED)
        )

    return summary_table([report(cell) for cell in cells])


def measured(cells: tuple[Cell, ...]) -> str:
    levels = (Level.EMULATED, Level.STAND_IN, Level.STATIC, Level.GPU)
    found = []
    for cell, level in zip(cells, levels, strict=False):
        probed = evidence(cell, level)
        if probed.probe:
            said = {"replay": {"verdict": "replays-right"}}
            probed = replace(probed, probe={**probed.probe, **said})
        probed = replace(probed, hip_runtime="Debian's libamdhip64-7 7.2.4-1")
        found.append(CellReport(cell.name, Result.DONE).tested(probed))
    return evidence_table(found)


def layers(cells: tuple[Cell, ...]) -> str:
    def of(cell: Cell) -> list[Layer]:
        sizes = (78_900_000, 5_600_000_000, 0)
        return [
            Layer(digest(f"{n}{cell.arch * n}"), s, "base image", STEP) for n, s in enumerate(sizes)
        ]

    return size_report({c.name: of(c) for c in cells}, {c.name: SIZES for c in cells})


def in_registry(cells: tuple[Cell, ...]) -> str:
    images = [entry(cell) for cell in cells]
    states = ("published", "published; what the matrix makes now is not pushed yet")
    return registry_sizes(
        [
            ImageSizes(cell.name, states[n % 2], immutable(cell), SIZES, image.pulls, image.layers)
            for n, (cell, image) in enumerate(zip(cells, images, strict=True))
        ]
    )


def budget(cells: tuple[Cell, ...]) -> str:
    spent = [
        Spent(entry(cell, build="2"), entry(cell) if n else None) for n, cell in enumerate(cells)
    ]
    return budget_table(spent, Budget(compressed="20 GB", delta="2 GB"))


def published(cells: tuple[Cell, ...]) -> str:
    kinds = ["tar+zstd"] * 9 + ["tar+gzip"] * 12
    manifest = {"layers": [{"mediaType": f"application/vnd.oci.image.layer.v1.{k}"} for k in kinds]}
    asked = SimpleNamespace(compression="zstd:3", recompress_base=True)
    done = [
        SimpleNamespace(
            candidate=SimpleNamespace(
                cell=cell,
                immutable=immutable(cell),
                target=SimpleNamespace(layers=asked, dockerfile=""),
            ),
            image=SimpleNamespace(digest=digest(cell.name), manifest=manifest),
            evidence=SimpleNamespace(level=Level.EMULATED),
            layers_sent=None if n else 21,
            signed=bool(n),
        )
        for n, cell in enumerate(cells)
    ]
    return publication_table(cast(Any, SimpleNamespace(cells=done)))


def moves(cells: tuple[Cell, ...]) -> list[Any]:
    return [
        SimpleNamespace(
            tag=f"{tag}-rehearsal-preview",
            before=SimpleNamespace(digest=digest("before")) if n else None,
            after=SimpleNamespace(digest=digest("after")),
            is_needed=bool(n),
        )
        for n, cell in enumerate(cells)
        for tag in cell.tags
    ]


def would_publish(cells: tuple[Cell, ...]) -> str:
    found = [
        SimpleNamespace(
            cell=cell,
            immutable=immutable(cell),
            evidence=SimpleNamespace(level=Level.EMULATED),
            to_push=bool(n),
            rolling=[f"{tag}-rehearsal-preview" for tag in cell.tags],
        )
        for n, cell in enumerate(cells)
    ]
    return dry_run(cast(Any, found), moves(cells))


def scans(cells: tuple[Cell, ...]) -> str:
    allowed = [
        (SimpleNamespace(id=f"CVE-2099-000{n}"), SimpleNamespace(until="2027-01-31"))
        for n in range(3)
    ]
    judged = SimpleNamespace(worst="critical", below=[0] * 120, allowed=allowed)
    found = [SimpleNamespace(cell=c.name, digest=digest(c.name), judged=judged) for c in cells]
    return scan_table(cast(Any, found))


def prunable(cells: tuple[Cell, ...]) -> str:
    drop = [
        SimpleNamespace(
            tags=(immutable(cell), f"{cell.tags[0]}-0123456789ab"),
            digest=digest(cell.name),
            date=None,
            why="nothing names it, and it was published 120 days ago",
            attached=("sha256-0.sig",),
        )
        for cell in cells
    ]
    what = SimpleNamespace(
        repository="example.org/sglang-rocm",
        catalogue=SimpleNamespace(updated=FIRST),
        drop=drop,
        freed=12_450_000_000,
        kept=(),
        orphans=(),
    )
    # What follows the table are sentences.
    text = report(cast(Any, what), cast(Any, SimpleNamespace(days=lambda _: 120)))
    return "\n".join(text.splitlines()[:-1])


def compared(cells: tuple[Cell, ...]) -> str:
    path = (
        "/opt/venv/bin:/opt/rocm/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    )
    first, second = (
        ImageFacts(
            name=cell.reference(cell.tags[0]),
            cell=cell.name,
            image_id=digest(cell.name),
            compressed=False,
            packages={"dpkg": {"libstdc++-12-dev": f"12.2.0-14+deb12u{n}"}},
            labels={"org.opencontainers.image.description": f"{STEP} {n}"},
            env={"PATH": f"{path}:/opt/{n}"},
            advisories=(),
            layers=(LayerFact(digest(f"layer {n}"), 5_600_000_000, STEP, "base image"),),
        )
        for n, cell in enumerate(cells[:2])
    )
    return as_text(difference(first, second))


def flags(_: tuple[Cell, ...]) -> str:
    words = ["run-args", "example.org/a:b", "--explain", "--numa", "--render-group", "109"]
    return CliRunner().invoke(main, words).stdout


def lock_check(cells: tuple[Cell, ...]) -> str:
    """What moved and what is newer, of which one base fits no variant."""
    keys = dict.fromkeys(
        key for cell in cells for key in (cell.base_image, *map(source_key, cell.sources.values()))
    )
    moved = [
        Change(key, None if n == 1 else digest(f"{n}"), None if n == 2 else digest(f"now {n}"))
        for n, key in enumerate(keys)
    ]
    matrix = load(PROJECT / "matrix.yaml")
    versions = re.compile(r"rocm[\d.]+_ubuntu(.*)_py[\d.]+_pytorch_release_[\d.]+")
    bases = [
        newer
        for form, newest in forms_of(matrix).items()
        for newer in tried_bases(
            matrix,
            form,
            newest,
            [
                versions.sub(rf"rocm{rocm}_ubuntu\1_py3.12_pytorch_release_2.10.0", newest.tag)
                for rocm in ("7.3", "99.0")
            ],
        )
    ]
    releases = [
        tried_release(
            matrix,
            name,
            source,
            [source.ref.replace(source.version, f"99.0.{n}") for n in range(9)],
        )
        for name, source in servers_of(matrix).items()
    ]
    assert any(each.cannot for base in bases for each in base.consequences)
    news = News(tuple(bases), tuple(filter(None, releases)))
    assert len(news.releases) == len(releases)
    return "\n".join([*(one.told(room()) for one in moved), *lines_of(news, room())])


SCREENS: dict[str, Callable[[tuple[Cell, ...]], str]] = {
    "summary": summary,
    "evidence": measured,
    "sizes": layers,
    "sizes of a registry": in_registry,
    "budget": budget,
    "publication": published,
    "rolling tags": lambda cells: moves_table(moves(cells)),
    "dry run": would_publish,
    "scans": scans,
    "prune": prunable,
    "difference": compared,
    "flags": flags,
    "lock --check": lock_check,
}


BLOCKS = {"publication", "dry run", "flags"}
"""Of rehearsed images, whose immutable tags have 44 characters; and of flags that have as many."""


def names_in(text: str, cells: tuple[Cell, ...]) -> set[str]:
    words = {word.strip(",:") for word in text.split()}
    return words & {name for cell in cells for name in (cell.name, immutable(cell))}


@pytest.mark.parametrize("columns", [80, 140])
@pytest.mark.parametrize("screen", SCREENS)
def test_no_line_is_longer_than_the_terminal_and_no_name_is_broken(
    screen: str, columns: int, project_matrix: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = cells_of(project_matrix)[:4]
    monkeypatch.delenv("COLUMNS", raising=False)
    whole = SCREENS[screen](cells)
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = SCREENS[screen](cells).splitlines()
    # But for an address, alone on its line.
    assert [line for line in lines if len(line) > columns and " " in line.strip()] == []
    assert names_in("\n".join(lines), cells) == names_in(whole, cells)
    # What is long is wrapped or left out, and only with names that fill a line there are blocks.
    in_blocks = re.search(r"^  [A-Z][A-Z ]*  \S", "\n".join(lines), re.MULTILINE)
    assert bool(in_blocks) == (columns == 80 and screen in BLOCKS)
