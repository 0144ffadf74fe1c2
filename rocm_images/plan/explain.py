"""Says, for one cell, every setting and pin of its image, why it is there and who says so."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rocm_images.matrix.schema import Variant
from rocm_images.plan.cells import Cell
from rocm_images.plan.variants import in_words


def explain(cell: Cell) -> str:
    """The explanation as text, one paragraph for each setting, source and pin."""
    return "\n".join(_lines(cell))


def _lines(cell: Cell) -> Iterator[str]:
    server = f"{cell.server.title} {cell.version}"
    yield f"{cell.name}: {server} for {', '.join(cell.gpus)} ({cell.gfx}) on ROCm {cell.rocm}"
    yield f"  base        {cell.base_image} (Python {cell.python}, torch {cell.torch})"
    yield f"  tags        {', '.join(cell.tags)}"
    yield f"  all-reduce  {cell.all_reduce} ({cell.all_reduce_reason})"
    by = [advisory.id for advisory in cell.advisories if advisory.capture_guard]
    guard = f"off by default, there because of {', '.join(by)}" if by else "none"
    yield f"  guard       {guard} (docs/capture-guard.md)"
    if cell.sdk:
        pins = [f"{name}=={version}" for name, version in cell.sdk.packages.items()]
        pins += [f"{name}-{cell.gfx}=={version}" for name, version in cell.sdk.devices.items()]
        yield "\nSDK"
        title = f"{', '.join(pins)} (from {cell.sdk.index})"
        yield from _paragraph(title, cell.sdk.why, cell.sdk.references)
    yield "\nEnvironment"
    for setting in cell.settings:
        why = f"advisory {setting.advisory}: {setting.why}" if setting.advisory else setting.why
        if setting.also:
            why += f" (also: {', '.join(setting.also)})"
        yield from _paragraph(f"{setting.name}={setting.value}", why, setting.references)
    yield "\nSources"
    for name, source in cell.sources.items():
        yield from _variant(f"{name} {source.version} ({source.git} at {source.ref})", source)
    for name, file in cell.downloads.items():
        toolchain = f", toolchain {file.toolchain}" if file.toolchain else ""
        yield from _variant(f"{name} {file.version}{toolchain} ({file.url})", file)
    yield "\nPackages"
    if cell.extra:
        yield from _variant(f"{cell.server.name}[{cell.extra.name}]", cell.extra)
    for name, package in cell.packages.items():
        yield from _variant(f"{name}=={package.version} (from {package.index})", package)
    yield "\nAdvisories that apply"
    for advisory in cell.advisories:
        fixed = f"; fixed in {advisory.fixed_in}" if advisory.fixed_in else "; not fixed"
        yield from _paragraph(
            f"{advisory.id} ({advisory.component}{fixed})", advisory.symptom, advisory.references
        )
    if not cell.advisories:
        yield "  none"


def _variant(title: str, variant: Variant) -> Iterator[str]:
    here = in_words(variant.fits)
    whole = f"{title}, for {here}" if here else title
    yield from _paragraph(whole, variant.why, variant.references)


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
