"""What advisories do in a cell, beyond that they apply to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations

from rocm_images.matrix.schema import Advisory
from rocm_images.servers import SERVERS, Server


def captures_are_unsafe(advisories: Iterable[Advisory]) -> bool:
    """Whether one of them is of a runtime whose captures are not safe: what the guard is for.

    Not whether one sets the all-reduce: a fault of AITER's own sets it on a safe runtime, too.
    """
    return any(advisory.capture_guard for advisory in advisories)


def owner_of(variable: str) -> Server | None:
    """The server whose own a variable is, by how its name begins; None: anybody may read it."""
    owners = [one for one in SERVERS.values() if variable.startswith(one.variables)]
    return max(owners, key=lambda server: len(server.variables), default=None)


def set_by(advisory: Advisory, server: Server, version: str) -> Mapping[str, str]:
    """What an advisory sets in an image of a release of a server.

    Nothing of another server's, and not the variable of its all-reduce where this release does not
    read it.
    """
    unread = None if server.all_reduce.is_read_by(version) else server.all_reduce.name
    return {
        name: value
        for name, value in advisory.set.items()
        if owner_of(name) in (None, server) and name != unread
    }


def conflicts(
    advisories: tuple[Advisory, ...], server: Server, version: str
) -> Iterator[tuple[Advisory, Advisory, str]]:
    """Pairs of advisories that set one variable differently there, with the variable's name."""
    for first, second in combinations(advisories, 2):
        one, other = set_by(first, server, version), set_by(second, server, version)
        for variable in one.keys() & other.keys():
            if one[variable] != other[variable]:
                yield first, second, variable
