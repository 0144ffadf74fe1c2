"""Shows differences: as text for a terminal, as Markdown for release notes."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence

from rocm_images import markdown, references
from rocm_images.catalogue.support import this_day
from rocm_images.comparing.difference import Change, Difference, Growth, difference
from rocm_images.comparing.facts import ImageFacts
from rocm_images.tables import Column, bytes_in_words, text_table
from rocm_images.telling import counted

_KINDS = {
    "dpkg": "Debian packages",
    "pip": "Python packages",
    "other": "Other packages",
    "component": "Components",
}
_LONGEST = 100
_MOST_GROWN = 20
"""Packages that are shown from either end."""
_NUMBERS = tuple(Column.number(title) for title in ("WAS", "IS NOW", "CHANGE"))


def as_text(found: Difference) -> str:
    """One difference, section by section; sections without a difference are left out."""
    parts = [f"{found.old} -> {found.new}", _sizes(found)]
    if found.nothing:
        return "\n".join([*parts, "no difference in packages, environment, labels or layers"])
    if found.inputs:
        parts.append(f"built from other inputs: {', '.join(found.inputs)}")
    for word, names in (("now applies", found.gained), ("no longer applies", found.lost)):
        parts += [f"advisory {name} {word}" for name in names]
    for kind, changed in found.packages.items():
        parts += _section(_KINDS.get(kind, kind), changed)
    parts += _growth(found.growth)
    if found.stages:
        stages = [
            (stage, bytes_in_words(was), bytes_in_words(now), _change(now - was))
            for stage, (was, now) in found.stages.items()
        ]
        parts += ["", text_table(("STAGES", *_NUMBERS), stages)]
    parts += _section("Environment", found.env)
    parts += _section("Labels", found.labels)
    layers = [("-", layer) for layer in found.removed_layers]
    layers += [("+", layer) for layer in found.added_layers]
    if layers:
        rows = [
            (
                sign,
                bytes_in_words(layer.size),
                references.short(layer.digest),
                layer.stage or "-",
                layer.step,
            )
            for sign, layer in layers
        ]
        kind = "COMPRESSED" if found.compressed else "UNPACKED"
        header = ("LAYERS", Column.number(kind), "DIGEST", "STAGE", Column.value("STEP"))
        parts += ["", text_table(header, rows)]
    return "\n".join(parts)


def release_notes(
    title: str,
    old: Mapping[str, ImageFacts],
    new: Mapping[str, ImageFacts],
    today: datetime.date | None = None,
) -> str:
    """What changed in each image, in Markdown, and what ends soon; images by cell.

    Raises:
        InputError: sizes cannot be compared.
    """
    parts = [f"## {markdown.text(title)}"]
    same = []
    for cell, image in new.items():
        if cell not in old:
            said = markdown.code(image.name)
            # A bill of materials says nothing of layers.
            if image.layers:
                said += f", {bytes_in_words(image.size)} {_kind(compressed=image.compressed)}"
            parts.append(f"### {markdown.text(cell)}: new\n\n{said}")
            continue
        found = difference(old[cell], image)
        if found.nothing:
            same.append(cell)
        else:
            parts.append(_note(cell, found))
    gone = [cell for cell in old if cell not in new]
    if same:
        parts.append(f"Unchanged: {', '.join(map(markdown.text, same))}.")
    if gone:
        parts.append(f"No longer built: {', '.join(map(markdown.text, gone))}.")
    if ending := _ending(new, today or this_day()):
        parts.append("\n".join(["### Support", "", *ending]))
    if not new and not gone:
        parts.append("No images.")
    return "\n\n".join(parts) + "\n"


def _ending(images: Mapping[str, ImageFacts], today: datetime.date) -> list[str]:
    """A line for each end that is near, or past."""
    return [
        f"- {markdown.text(f'{cell}: {end.told(today)}')}."
        for cell, image in images.items()
        for end in image.ends
        if end.is_near(today)
    ]


def _note(cell: str, found: Difference) -> str:
    new, old = markdown.code(found.new), markdown.code(found.old)
    lines = [f"### {markdown.text(cell)}", "", f"{new}, after {old}: {_sizes(found)}."]
    for word, names in (("now applies", found.gained), ("no longer applies", found.lost)):
        if names:
            lines += ["", *(f"- Advisory {markdown.code(name)} {word}." for name in names)]
    changed = [
        (_KINDS.get(kind, kind), change)
        for kind, found_changes in found.packages.items()
        for change in found_changes
    ]
    changed += [("Environment", change) for change in found.env]
    if changed:
        rows = [
            [markdown.text(cell or "") or "-" for cell in (kind, one.name, one.old, one.new)]
            for kind, one in changed
        ]
        lines += ["", markdown.table(("", "Name", "Was", "Is now"), rows)]
    return "\n".join(lines)


def _sizes(found: Difference) -> str:
    if not (found.old_size or found.new_size):
        return "by their bills of materials, which say nothing of layers"
    old, new, shared = map(bytes_in_words, (found.old_size, found.new_size, found.shared_size))
    text = (
        f"{old} -> {new} {_kind(compressed=found.compressed)} "
        f"({_change(found.new_size - found.old_size)}), {shared} are the same "
        f"({counted(found.shared_layers, 'layer')})"
    )
    # What is pulled is compressed: an engine does not know how much that is.
    pulled = found.new_size - found.shared_size
    return f"{text}, {bytes_in_words(pulled)} are pulled" if found.compressed else text


def _section(title: str, changed: Sequence[Change]) -> list[str]:
    if not changed:
        return []
    rows = [(one.name, _short(one.old), _short(one.new)) for one in changed]
    header = (title.upper(), Column.value("WAS"), Column.value("IS NOW"))
    return ["", text_table(header, rows)]


def _growth(changed: Sequence[Growth]) -> list[str]:
    """What grew most and what shrank most, and the sum of all."""
    if not changed:
        return []
    shown = changed
    if len(changed) > 2 * _MOST_GROWN:
        shown = [*changed[:_MOST_GROWN], *changed[-_MOST_GROWN:]]
    rows = [
        (
            one.name,
            bytes_in_words(one.old),
            bytes_in_words(one.new),
            _change(one.bytes),
        )
        for one in shown
    ]
    lines = ["", text_table(["DEBIAN PACKAGES BY GROWTH", *_NUMBERS], rows)]
    if len(shown) < len(changed):
        lines.append(f"and {len(changed) - len(shown)} that changed less (--json has all)")
    lines.append(f"Debian packages: {_change(sum(one.bytes for one in changed))} unpacked")
    return lines


def _short(value: str | None) -> str:
    if value is None:
        return "-"
    return value if len(value) <= _LONGEST else value[: _LONGEST - 3] + "..."


def _change(size: int) -> str:
    return f"{'-' if size < 0 else '+'}{bytes_in_words(abs(size))}"


def _kind(*, compressed: bool) -> str:
    return "compressed" if compressed else "unpacked"
