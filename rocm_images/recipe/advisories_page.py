"""Renders docs/advisories.md: every advisory, what it sets, and which images it applies to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rocm_images import markdown
from rocm_images.matrix.references import address_of
from rocm_images.matrix.schema import Advisory, Matrix
from rocm_images.plan.advisories import owner_of
from rocm_images.plan.cells import Cell
from rocm_images.recipe import templates
from rocm_images.servers import SERVERS


def advisories_page(matrix: Matrix, cells: Iterable[Cell]) -> str:
    """The page's text, of all cells of a matrix."""
    cells = tuple(cells)
    rows = [
        (
            f"[{markdown.text(advisory.id)}](#{advisory.id})",
            markdown.text(_affected(advisory)),
            _sets(advisory) or "nothing",
            _applies_to([cell for cell in cells if advisory in cell.advisories], cells),
        )
        for advisory in matrix.advisories
    ]
    table = markdown.table(("advisory", "affects", "sets", "applies to"), rows)
    environment = templates.environment()
    environment.filters |= {"text": markdown.text, "affected": _affected, "sets": _sets}
    environment.filters["linked"] = _linked
    values = {"table": table, "advisories": matrix.advisories}
    return templates.rendered(environment, "advisories.md.j2", **values)


def _sets(advisory: Advisory) -> str:
    """The variables that an advisory sets, as Markdown, and the release that reads one first."""
    return ", ".join(
        markdown.code(f"{name}={value}") + _reader(name) for name, value in advisory.set.items()
    )


def _reader(variable: str) -> str:
    owner = owner_of(variable)
    if owner is None or owner.all_reduce.name != variable:
        return ""
    return f" ({owner.title} from {owner.all_reduce.since} on)"


def _linked(reference: str) -> str:
    # An address has no character that ends a link: the matrix takes none that has.
    address = address_of(reference)
    return f"[{markdown.text(reference)}]({address})" if address else markdown.text(reference)


def _affected(advisory: Advisory) -> str:
    """The ranges of an advisory in words, as `ROCm <7.2.1, arch 950`."""
    ranges = advisory.affected
    named = (("ROCm", ranges.rocm), ("Python", ranges.python), ("torch", ranges.torch))
    parts = [f"{name} {text}" for name, text in named if text]
    parts += [f"{_title(name)} {text}" for name, text in ranges.sources.items()]
    parts += [_title(name) for name in ranges.servers]
    parts += [f"of {_title(name)} only {text}" for name, text in ranges.releases.items()]
    parts += [f"arch {arch}" for arch in ranges.archs]
    return ", ".join(parts) or "every image"


def _title(source: str) -> str:
    return SERVERS[source].title if source in SERVERS else source


def _applies_to(affected: Sequence[Cell], cells: Sequence[Cell]) -> str:
    """The cells that are affected, by a rule where archs and bases tell them; else their names."""
    if not affected:
        return "no image"
    whole = _rule(affected, cells)
    if whole is not None:
        return f"every image{whole}"
    parts = []
    for name in _unique(cell.server.name for cell in affected):
        those = [cell for cell in affected if cell.server.name == name]
        rule = _rule(those, [cell for cell in cells if cell.server.name == name])
        if rule is None or len(those) == 1:
            parts.append(", ".join(cell.name for cell in those))
        else:
            parts.append(f"every image of {_title(name)}{rule}")
    return "; ".join(parts)


def _rule(affected: Sequence[Cell], cells: Sequence[Cell]) -> str | None:
    """Which archs and bases the affected cells are: empty for all; None: it would tell of more."""
    archs, bases = _unique(cell.arch for cell in affected), _unique(cell.rocm for cell in affected)
    if list(affected) != [cell for cell in cells if cell.arch in archs and cell.rocm in bases]:
        return None
    every_arch = archs == _unique(cell.arch for cell in cells)
    every_base = bases == _unique(cell.rocm for cell in cells)
    arch = "" if every_arch else f" for arch {', '.join(archs)}"
    return arch if every_base else f"{arch} on ROCm {', '.join(bases)}"


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
