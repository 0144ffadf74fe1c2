"""Which cells need work, and why the others do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rocm_images.build.targets import Target
from rocm_images.plan.cells import Cell
from rocm_images.pool import Threads
from rocm_images.telling import counted

REQUESTS_AT_ONCE = 4


@dataclass(frozen=True)
class CellWork:
    """One cell: whether it is to be built, and why or why not."""

    cell: Cell
    build_id: str
    tag: str
    """The immutable tag of its image."""
    needed: bool = True
    why: str = "asked for"

    @classmethod
    def of(cls, target: Target) -> CellWork:
        """The work on a target that is asked for."""
        assert target.inputs is not None
        return cls(target.cell, target.inputs.build_id, target.immutable_tag)

    def as_json(self) -> dict[str, str]:
        """What machines read of it."""
        return {
            "cell": self.cell.name,
            "server": self.cell.server.name,
            "arch": self.cell.arch,
            "base": self.cell.rocm,
            "gfx": self.cell.gfx,
            "family": self.cell.family,
            "build_id": self.build_id,
            "tag": self.tag,
            "why": self.why,
        }


def changed_since(
    revision: str, before: Mapping[str, str], work: Sequence[CellWork]
) -> list[CellWork]:
    """Only the cells whose build id is not the one that they had at a revision."""
    found = []
    for one in work:
        if one.cell.name not in before:
            found.append(replace(one, why=f"not in the matrix at {revision}"))
        elif before[one.cell.name] == one.build_id:
            found.append(replace(one, needed=False, why=f"same build id as at {revision}"))
        else:
            found.append(replace(one, why=f"another build id than at {revision}"))
    return found


@dataclass(frozen=True)
class There:
    """What a registry has of a cell: an image by its digest, or why that does not count."""

    digest: str = ""
    why_not: str = ""


def missing_from(
    registry: str, there: Callable[[CellWork], There | None], work: Sequence[CellWork]
) -> list[CellWork]:
    """Only the cells whose image a registry lacks, or has so that it could not be published.

    Args:
        registry: what to call it.
        there: what it has of a cell, verified; None: nothing.
        work: the cells.
    """

    def look(one: CellWork) -> CellWork:
        found = there(one)
        if found is None:
            return replace(one, why=f"not in {registry}")
        if found.why_not:
            return replace(one, why=f"in {registry}, but {found.why_not}")
        return replace(one, needed=False, why=f"in {registry}: {found.digest}")

    with Threads(REQUESTS_AT_ONCE) as pool:
        return list(pool.map(look, work))


def at_most(limit: int, work: Sequence[CellWork]) -> list[CellWork]:
    """The same cells, with those that need work beyond the first `limit` left to a later run."""
    left = limit
    kept = []
    for one in work:
        if one.needed and left == 0:
            why = f"left to the next run: this one takes {counted(limit, 'cell')}"
            one = replace(one, needed=False, why=why)
        left -= one.needed
        kept.append(one)
    return kept
