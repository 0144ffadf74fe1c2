"""What publishing says of itself: a table of the images, and where each rolling tag went."""

from __future__ import annotations

from collections.abc import Sequence

from rocm_images.publishing.candidates import Candidate
from rocm_images.publishing.compressed import shown
from rocm_images.publishing.rolling_tags import Move
from rocm_images.publishing.transaction import Publication
from rocm_images.tables import Column, text_table
from rocm_images.telling import counted

_SHORT = 19
"""Characters of a digest that are shown: `sha256:` and 12 digits."""


def publication_table(publication: Publication) -> str:
    """One line for each image."""
    rows = [
        (
            done.candidate.cell.name,
            done.candidate.immutable,
            done.image.digest[:_SHORT],
            str(done.evidence.level),
            "was there"
            if done.layers_sent is None
            else f"{counted(done.layers_sent, 'layer')} sent",
            shown(done),
            "signed" if done.signed else "was there",
        )
        for done in publication.cells
    ]
    header = (
        "CELL",
        "IMMUTABLE TAG",
        Column.detail("DIGEST"),
        Column.words("EVIDENCE"),
        Column.words("IMAGE"),
        Column.words("LAYERS ADDED", extra=True),
        Column.words("SIGNATURE"),
    )
    return text_table(header, rows, elsewhere="a wider terminal has all")


def moves_table(planned: Sequence[Move]) -> str:
    """One line for each rolling tag."""
    rows = [
        (
            move.tag,
            move.before.digest[:_SHORT] if move.before else "-",
            move.after.digest[:_SHORT],
            "moves" if move.is_needed else "is there",
        )
        for move in planned
    ]
    header = ("ROLLING TAG", Column.detail("WAS"), "IS", "DONE")
    return text_table(header, rows, elsewhere="a wider terminal has all")


def dry_run(found: Sequence[Candidate], planned: Sequence[Move]) -> str:
    """What publishing would do."""
    rows = [
        (
            one.cell.name,
            one.immutable,
            str(one.evidence.level),
            "push, sign" if one.to_push else "is there",
            " ".join(one.rolling),
        )
        for one in found
    ]
    header = (
        "CELL",
        "IMMUTABLE TAG",
        "EVIDENCE",
        Column.words("WOULD"),
        Column.words("ROLLING TAGS", extra=True),
    )
    # The next table has the rolling tags, too.
    lines = [text_table(header, rows)]
    if planned:
        lines.append(moves_table(planned))
    return "\n\n".join(lines)
