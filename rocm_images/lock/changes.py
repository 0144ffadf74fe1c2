"""What the matrix wants resolved, and how one state of its lock differs from another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rocm_images.errors import InputError, closest, known_versions
from rocm_images.lock.file import SCHEMA, Lock, is_commit, source_key
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.references import short
from rocm_images.tables import headed


@dataclass(frozen=True)
class Wanted:
    """One thing that the matrix needs resolved: a base image, or a git ref."""

    key: str
    """The key of its entry: `NAME:TAG`, or `ADDRESS#REF`."""
    names: tuple[str, ...]
    """What a user may call it: the base's versions and image, or the source's name."""
    git: bool

    @property
    def fixed(self) -> str | None:
        """The digest or commit that the key itself says, which no registry need be asked for."""
        if self.git:
            ref = self.key.partition("#")[2]
            return ref if is_commit(ref) else None
        return self.key.partition("@")[2] or None


def wanted_of(matrix: Matrix) -> tuple[Wanted, ...]:
    """What the cells of the matrix need resolved, bases first, in the order of the file."""
    names: dict[tuple[str, bool], list[str]] = {}
    cells = cells_of(matrix)
    for cell in cells:
        names.setdefault((cell.base_image, False), []).append(cell.rocm)
    for cell in cells:
        for name, source in cell.sources.items():
            names.setdefault((source_key(source), True), []).append(name)
    return tuple(
        Wanted(key, (*dict.fromkeys(named), key), git) for (key, git), named in names.items()
    )


def chosen(wanted: Sequence[Wanted], names: Iterable[str]) -> tuple[Wanted, ...]:
    """Those of `wanted` that the user named, in their order.

    Raises:
        InputError: a name is unknown.
    """
    names = set(names)
    known = {name for one in wanted for name in one.names}
    for name in sorted(names - known):
        # A base's version: an image begins with a letter, where no registry stands before it.
        versions = {name for one in wanted if not one.git for name in one.names[:-1]}
        hint = known_versions(name, versions) if name[:1].isdigit() else closest(name, known)
        raise InputError(f"the matrix has no base or source {name!r}: {hint}")
    return tuple(one for one in wanted if names & set(one.names))


def renewed(
    lock: Lock, found: Mapping[Wanted, str], wanted: Sequence[Wanted] | None = None
) -> Lock:
    """The lock with what was found; given all that is `wanted`, without any other entry."""
    kept = None if wanted is None else {one.key for one in wanted}
    bases, sources = (
        {key: value for key, value in entries.items() if kept is None or key in kept}
        for entries in (lock.bases, lock.sources)
    )
    for one, value in found.items():
        (sources if one.git else bases)[one.key] = value
    return Lock(schema_number=SCHEMA, bases=bases, sources=sources)


@dataclass(frozen=True)
class Change:
    """One entry that differs between two locks; None: not there."""

    key: str
    old: str | None
    new: str | None

    def told(self, width: int | None) -> str:
        """It for a terminal, with digests and commits as people compare them; whole in a log."""
        name, old, new = self.key, self.old, self.new
        if width is not None:
            address, _, ref = name.rpartition("#")
            name = f"{address}#{short(ref)}" if is_commit(ref) else name
            briefly = [value and short(value) for value in (old, new)]
            # They are alike where one digit of a lock was changed by hand, say.
            old, new = briefly if briefly[0] != briefly[1] else (old, new)
        if old is None:
            words = f"no entry before, now {new}"
        elif new is None:
            words = f"dropped, since the matrix no longer names it; was {old}"
        else:
            words = f"moved from {old} to {new}"
        return headed(name, words, width)


def changes(before: Lock, after: Lock) -> tuple[Change, ...]:
    """What differs between two locks, sorted by key."""
    old, new = before.entries, after.entries
    return tuple(
        Change(key, old.get(key), new.get(key))
        for key in sorted({*old, *new})
        if old.get(key) != new.get(key)
    )


def unlocked(lock: Lock, wanted: Iterable[Wanted]) -> tuple[Wanted, ...]:
    """Those that stand for whatever upstream has at the time: no entry, and not fixed."""
    return tuple(one for one in wanted if not one.fixed and one.key not in lock.entries)
