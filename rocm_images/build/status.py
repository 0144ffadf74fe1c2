"""For each planned cell: its build id, and whether the engine is up to date with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rocm_images.build.targets import Target, with_found, with_published
from rocm_images.engine.connect import Engine

if TYPE_CHECKING:
    from rocm_images.registry.client import Repository


@dataclass(frozen=True)
class Status:
    """What `plan` shows of one cell. `state` is in words."""

    build_id: str
    immutable_tag: str
    state: str


def statuses(
    engine: Engine | None, targets: Sequence[Target], repository: Repository | None = None
) -> list[Status]:
    """The status of each target; where no engine answers, that is said in its place.

    Raises:
        RegistryError: the repository, where one is given, cannot be asked.
    """
    known = with_found(engine, targets) if engine else list(targets)
    if repository is not None:
        known = with_published(repository, known)
    found = []
    for target in known:
        assert target.inputs is not None
        state = "up to date" if target.found else f"to build ({target.why})"
        if target.published:
            state = f"in the registry ({target.published.rpartition('@')[2]})"
        elif engine is None:
            state = "unknown (no engine answers)"
        found.append(Status(target.inputs.build_id, target.immutable_tag, state))
    return found
