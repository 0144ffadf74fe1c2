"""Moves rolling tags, all of them or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rocm_images.errors import RegistryError
from rocm_images.pool import Threads
from rocm_images.registry.client import Repository
from rocm_images.registry.manifest import Manifest

AT_ONCE = 8


@dataclass(frozen=True)
class Move:
    """One rolling tag: where it is, and where it is to be. `before` None: there is no such tag."""

    tag: str
    before: Manifest | None
    after: Manifest

    @property
    def is_needed(self) -> bool:
        """Whether the tag is not yet where it is to be."""
        return self.before is None or self.before.digest != self.after.digest


def moves(repository: Repository, wanted: Mapping[str, Manifest]) -> list[Move]:
    """The moves that bring each tag to its manifest.

    Raises:
        RegistryError: the registry does not answer.
    """
    with Threads(AT_ONCE) as pool:
        before = list(pool.map(repository.manifest, wanted))
    return [Move(tag, old, wanted[tag]) for tag, old in zip(wanted, before, strict=True)]


def move_all(repository: Repository, planned: Sequence[Move]) -> list[Move]:
    """Move every tag that is not yet in place; returns those that were moved.

    A registry has no transaction over several tags. Each move is one small request, and when one
    fails for good, those that were moved are moved back.

    Raises:
        RegistryError: a tag could not be moved; the sentence says whether all are as before.
    """
    done: list[Move] = []
    for move in planned:
        if not move.is_needed:
            continue
        try:
            repository.put_tag(move.tag, move.after)
        except RegistryError as error:
            _move_back(repository, done, error)
        done.append(move)
    for move in done:
        found = repository.digest_of(move.tag)
        if found != move.after.digest:
            raise RegistryError(
                f"{repository.reference(move.tag)} is at {found} right after it was moved to "
                f"{move.after.digest}: somebody else publishes at the same time; let one of you "
                "publish again"
            )
    return done


def _move_back(repository: Repository, done: Sequence[Move], error: RegistryError) -> None:
    for move in reversed(done):
        if move.before is None:
            # A tag that is new stays: registries delete manifests, not tags.
            continue
        try:
            repository.put_tag(move.tag, move.before)
        except RegistryError:
            names = ", ".join(one.tag for one in done)
            raise RegistryError(
                f"{error}; and the registry fails so thoroughly that the tags already moved "
                f"({names}) could not be moved back: the rolling tags are mixed until you publish "
                "again, which completes the move"
            ) from None
    raise RegistryError(
        f"{error}; every rolling tag is where it was: publish again when the registry is well"
    ) from None
