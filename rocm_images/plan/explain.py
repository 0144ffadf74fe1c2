"""Says, for one cell, every setting and pin of its image, why it is there and who says so."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell


def explain(matrix: Matrix, cell: Cell) -> str:
    """The explanation as text, one paragraph for each setting, source and pin."""
    return "\n".join(_lines(matrix, cell))


def _lines(matrix: Matrix, cell: Cell) -> Iterator[str]:
    yield f"{cell.name}: {', '.join(cell.gpus)} ({cell.gfx}) on ROCm {cell.rocm}"
    yield f"  base        {cell.base_image}"
    yield f"  tags        {', '.join(cell.tags)}"
    yield f"  all-reduce  {cell.all_reduce} ({cell.all_reduce_reason})"
    by = [advisory.id for advisory in cell.advisories if advisory.capture_guard]
    guard = f"off by default, there because of {', '.join(by)}" if by else "none"
    yield f"  guard       {guard} (docs/capture-guard.md)"
    yield "\nEnvironment"
    for setting in cell.settings:
        why = f"advisory {setting.advisory}: {setting.why}" if setting.advisory else setting.why
        yield from _paragraph(f"{setting.name}={setting.value}", why, setting.references)
    yield "\nSources"
    for name, source in (("sglang", matrix.sources.sglang), ("aiter", matrix.sources.aiter)):
        title = f"{name} {source.version} ({source.git} at {source.ref})"
        yield from _paragraph(title, source.why, ())
    rustup = matrix.sources.rustup
    yield from _paragraph(
        f"rustup {rustup.version}, toolchain {rustup.toolchain} ({rustup.url})", rustup.why, ()
    )
    yield "\nPackages"
    for name, package in matrix.packages.items():
        title = f"{name}=={package.version} (from {package.index})"
        yield from _paragraph(title, package.why, package.references)
    yield "\nAdvisories that apply"
    for advisory in cell.advisories:
        fixed = f"; fixed in {advisory.fixed_in}" if advisory.fixed_in else "; not fixed"
        yield from _paragraph(
            f"{advisory.id} ({advisory.component}{fixed})", advisory.symptom, advisory.references
        )
    if not cell.advisories:
        yield "  none"


def _paragraph(title: str, why: str, references: Sequence[str]) -> Iterator[str]:
    yield f"  {title}"
    yield textwrap.fill(why, 96, initial_indent="      ", subsequent_indent="      ")
    if references:
        text = "see " + ", ".join(references)
        yield textwrap.fill(
            text,
            96,
            initial_indent="      ",
            subsequent_indent="      ",
            break_on_hyphens=False,
            break_long_words=False,
        )
