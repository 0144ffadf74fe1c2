"""Shows differences: as text for a terminal, as Markdown for release notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rocm_images.comparing.difference import Change, Difference, difference
from rocm_images.comparing.facts import ImageFacts, LayerFact
from rocm_images.tables import text_table

_KINDS = {"dpkg": "Debian packages", "pip": "Python packages", "component": "Components"}
_LONGEST = 100


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
    parts += _section("Environment", found.env)
    parts += _section("Labels", found.labels)
    layers = [("-", layer) for layer in found.removed_layers]
    layers += [("+", layer) for layer in found.added_layers]
    if layers:
        rows = [
            (sign, _megabytes(layer.size), _digest(layer), layer.step) for sign, layer in layers
        ]
        parts += ["", text_table(("LAYERS", "MB", "DIGEST", "STEP"), rows)]
    return "\n".join(parts)


def release_notes(title: str, old: Mapping[str, ImageFacts], new: Mapping[str, ImageFacts]) -> str:
    """What changed in each image, in Markdown; images by cell.

    Raises:
        InputError: sizes cannot be compared.
    """
    parts = [f"## {_markdown(title)}"]
    same = []
    for cell, image in new.items():
        if cell not in old:
            parts.append(f"### {cell}: new\n\n`{image.name}`, {_megabytes(image.size)} MB")
            continue
        found = difference(old[cell], image)
        if found.nothing:
            same.append(cell)
        else:
            parts.append(_note(cell, found))
    gone = [cell for cell in old if cell not in new]
    if same:
        parts.append(f"Unchanged: {', '.join(same)}.")
    if gone:
        parts.append(f"No longer built: {', '.join(gone)}.")
    if not new and not gone:
        parts.append("No images.")
    return "\n\n".join(parts) + "\n"


def _note(cell: str, found: Difference) -> str:
    lines = [f"### {cell}", "", f"`{found.new}`, after `{found.old}`: {_sizes(found)}."]
    for word, names in (("now applies", found.gained), ("no longer applies", found.lost)):
        if names:
            lines += ["", *(f"- Advisory `{name}` {word}." for name in names)]
    changed = [
        (_KINDS.get(kind, kind), change)
        for kind, found_changes in found.packages.items()
        for change in found_changes
    ]
    changed += [("Environment", change) for change in found.env]
    if changed:
        lines += ["", "| | Name | Was | Is now |", "|---|---|---|---|"]
        lines += [
            f"| {' | '.join(map(_markdown, (kind, one.name, one.old or '-', one.new or '-')))} |"
            for kind, one in changed
        ]
    return "\n".join(lines)


def _sizes(found: Difference) -> str:
    change = (found.new_size - found.old_size) / 1e6
    return (
        f"{_megabytes(found.old_size)} MB -> {_megabytes(found.new_size)} MB ({change:+.1f} MB), "
        f"{_megabytes(found.shared_size)} MB in {found.shared_layers} layers are the same"
    )


def _section(title: str, changed: Sequence[Change]) -> list[str]:
    if not changed:
        return []
    rows = [(one.name, _short(one.old), _short(one.new)) for one in changed]
    return ["", text_table((title.upper(), "WAS", "IS NOW"), rows)]


def _short(value: str | None) -> str:
    if value is None:
        return "-"
    return value if len(value) <= _LONGEST else value[: _LONGEST - 3] + "..."


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f}"


def _digest(layer: LayerFact) -> str:
    return layer.digest.removeprefix("sha256:")[:12]


def _markdown(text: str) -> str:
    """A text in a cell of a table, with nothing that Markdown or HTML would act on."""
    flat = " ".join(text.split())
    for character in "&<":
        flat = flat.replace(character, {"&": "&amp;", "<": "&lt;"}[character])
    return flat.replace("|", "\\|")
