"""For each planned cell: its build id, and whether the engine is up to date with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rocm_images.build.targets import Target, with_found, with_published
from rocm_images.engine.connect import Engine
from rocm_images.pool import Threads

if TYPE_CHECKING:
    from rocm_images.registry.client import Repository
    from rocm_images.registry.cosign import Cosign
    from rocm_images.registry.trust import Trust


REQUESTS_AT_ONCE = 8
UNKNOWN = "unknown"
"""The state of what only an engine could tell, and none answers."""


@dataclass(frozen=True)
class Status:
    """What `plan` shows of one cell. `state` is in words."""

    build_id: str
    immutable_tag: str
    state: str


@dataclass(frozen=True)
class InRegistry:
    """Where published images are looked for; they are verified where it is said whose count."""

    repositories: Mapping[str, Repository]
    """By name: each server's images have their own."""
    cosign: Cosign | None = None
    trust: Trust | None = None

    def states(self, targets: Sequence[Target]) -> list[str]:
        """What it has of each target, in words; empty where it has nothing.

        Raises:
            RegistryError: it does not answer.
        """
        if self.cosign and self.trust:
            known = with_published(self.repositories, self.cosign, self.trust, targets)
            return [_verified_state(one) for one in known]

        def digest(one: Target) -> str | None:
            there = self.repositories[one.cell.repository]
            return None if one.found else there.digest_of(one.immutable_tag)

        with Threads(REQUESTS_AT_ONCE) as pool:
            digests = list(pool.map(digest, targets))
        return [f"in the registry, not verified ({one})" if one else "" for one in digests]


def _verified_state(target: Target) -> str:
    if target.refusal:
        return f"not to be trusted: {target.refusal}"
    digest = target.published.rpartition("@")[2]
    return f"in the registry ({digest})" if digest else ""


def statuses(
    engine: Engine | None,
    targets: Sequence[Target],
    there: InRegistry | None = None,
) -> list[Status]:
    """The status of each target.

    Raises:
        RegistryError: the registry, where one is given, does not answer.
    """
    known = with_found(engine, targets) if engine else list(targets)
    states = there.states(known) if there else [""] * len(known)
    found = []
    for target, in_registry in zip(known, states, strict=True):
        assert target.inputs is not None
        state = "up to date" if target.found else f"to build ({target.why})"
        if in_registry:
            state = in_registry
        elif engine is None:
            state = UNKNOWN
        found.append(Status(target.inputs.build_id, target.immutable_tag, state))
    return found
