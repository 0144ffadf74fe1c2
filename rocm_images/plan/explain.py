"""Says, for one cell, every setting and pin of its image, why it is there and who says so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rocm_images.matrix.schema import Variant
from rocm_images.plan.cells import Cell
from rocm_images.plan.variants import in_words
from rocm_images.tables import LEGIBLE_LINE, filled

_HEADING = "  {:12}"
_TITLE, _TEXT = "  ", "      "


def explain(cell: Cell, width: int | None = None) -> str:
    """The explanation as text, one paragraph for each setting, source and pin.

    Args:
        cell: of the plan.
        width: columns that no line is longer than, but for an address. None: titles are one line
            each, so that they are found in a log.
    """
    return "\n".join(_Page(min(width, LEGIBLE_LINE) if width else None).lines(cell))


@dataclass(frozen=True)
class _Page:
    width: int | None

    def lines(self, cell: Cell) -> Iterator[str]:
        server = f"{cell.server.title} {cell.version}"
        title = f"{cell.name}: {server} for {', '.join(cell.gpus)} ({cell.gfx}) on ROCm {cell.rocm}"
        yield filled(title, self.width, others=_TITLE)
        base = f"{cell.base_image} (Python {cell.python}, torch {cell.torch})"
        yield self._heading("base", base)
        yield self._heading("tags", ", ".join(cell.tags))
        yield self._heading("all-reduce", f"{cell.all_reduce} ({cell.all_reduce_reason})")
        by = [advisory.id for advisory in cell.advisories if advisory.capture_guard]
        guard = f"off by default, there because of {', '.join(by)}" if by else "none"
        yield self._heading("guard", f"{guard} (docs/capture-guard.md)")
        if cell.sdk:
            pins = [f"{name}=={version}" for name, version in cell.sdk.packages.items()]
            pins += [f"{name}-{cell.gfx}=={version}" for name, version in cell.sdk.devices.items()]
            yield "\nSDK"
            title = f"{', '.join(pins)} (from {cell.sdk.index})"
            yield from self._paragraph(title, cell.sdk.why, cell.sdk.references)
        yield "\nEnvironment"
        for setting in cell.settings:
            why = f"advisory {setting.advisory}: {setting.why}" if setting.advisory else setting.why
            if setting.also:
                why += f" (also: {', '.join(setting.also)})"
            yield from self._paragraph(f"{setting.name}={setting.value}", why, setting.references)
        yield "\nSources"
        for name, source in cell.sources.items():
            yield from self._variant(
                f"{name} {source.version} ({source.git} at {source.ref})", source
            )
        for name, file in cell.downloads.items():
            toolchain = f", toolchain {file.toolchain}" if file.toolchain else ""
            yield from self._variant(f"{name} {file.version}{toolchain} ({file.url})", file)
        yield "\nPackages"
        if cell.extra:
            yield from self._variant(f"{cell.server.name}[{cell.extra.name}]", cell.extra)
        for name, package in cell.packages.items():
            yield from self._variant(f"{name}=={package.version} (from {package.index})", package)
        yield "\nAdvisories that apply"
        for advisory in cell.advisories:
            fixed = f"; fixed in {advisory.fixed_in}" if advisory.fixed_in else "; not fixed"
            yield from self._paragraph(
                f"{advisory.id} ({advisory.component}{fixed})",
                advisory.symptom,
                advisory.references,
            )
        if not cell.advisories:
            yield "  none"

    def _variant(self, title: str, variant: Variant) -> Iterator[str]:
        here = in_words(variant.fits)
        whole = f"{title}, for {here}" if here else title
        yield from self._paragraph(whole, variant.why, variant.references)

    def _heading(self, name: str, text: str) -> str:
        first = _HEADING.format(name)
        return filled(text, self.width, first=first, others=" " * len(first))

    def _paragraph(self, title: str, why: str, references: Sequence[str]) -> Iterator[str]:
        yield filled(title, self.width, first=_TITLE, others=_TITLE * 2)
        width = self.width or LEGIBLE_LINE
        yield filled(why, width, first=_TEXT, others=_TEXT)
        if references:
            yield filled(f"see {', '.join(references)}", width, first=_TEXT, others=_TEXT)
