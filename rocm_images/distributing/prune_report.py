"""What `prune` says: what may go, what stays though nothing names it, as a table or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rocm_images.distributing.prunable import Ages
from rocm_images.distributing.prune import Pruning
from rocm_images.foreign import shown_line
from rocm_images.tables import Column, bytes_in_words, text_table
from rocm_images.telling import counted

SCHEMA = 1
_SHORT = 19
_LETTERS = 160


def report(what: Pruning, ages: Ages) -> str:
    """Of one repository: what may go, the oldest first, and then what stays and why."""
    rows = [
        (", ".join(one.tags), one.digest[:_SHORT], str(ages.days(one.date)), one.why)
        for one in what.drop
    ]
    lines = [f"{what.repository}, by its catalogue of {what.catalogue.updated}:"]
    if rows:
        why = Column.words("WHY IT MAY GO")
        header = (
            Column.words("IMMUTABLE TAG"),
            Column.detail("DIGEST"),
            Column.number("DAYS OLD"),
            why,
        )
        lines.append(text_table(header, rows, elsewhere="--json has all"))
        size = bytes_in_words(what.freed)
        attached = sum(len(one.attached) for one in what.drop)
        lines.append(
            f"{counted(len(rows), 'image')}, {counted(attached, 'tag')} of their signatures and "
            f"statements; {size} compressed, once the registry collects its garbage"
        )
    else:
        lines.append("no image may go")
    lines += [
        f"stays: {', '.join(one.tags)} ({one.digest[:_SHORT]}): {_cut(one.why)}"
        for one in what.kept
    ]
    if what.orphans:
        lines.append(
            f"{counted(len(what.orphans), 'tag')} of signatures and statements about images that "
            "are not there: --orphans drops them, too"
        )
    return "\n".join(lines)


def document(every: Sequence[Pruning], ages: Ages) -> dict[str, Any]:
    """The same as JSON."""
    return {
        "schema": SCHEMA,
        "date": ages.now.isoformat(timespec="seconds"),
        "repositories": [
            {
                "repository": str(one.repository),
                "catalogue": one.catalogue.updated,
                "drop": [
                    {
                        "digest": each.digest,
                        "tags": list(each.tags),
                        "attached": list(each.attached),
                        "date": each.date.isoformat(timespec="seconds"),
                        "days": ages.days(each.date),
                        "why": each.why,
                    }
                    for each in one.drop
                ],
                "freed": one.freed,
                "stays": [
                    {"digest": each.digest, "tags": list(each.tags), "why": each.why}
                    for each in one.kept
                ],
                "orphans": list(one.orphans),
            }
            for one in every
        ],
    }


def _cut(text: str) -> str:
    line = shown_line(text)
    return line if len(line) <= _LETTERS else f"{line[:_LETTERS]}..."
