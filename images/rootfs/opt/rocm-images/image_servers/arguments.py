"""The options of a server's command line that deployments and proofs must know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Arguments:
    """Spellings of options; the first of several is the one that texts use."""

    example: str
    """An option with its value, for texts."""
    of_the_deployment: Mapping[str, str]
    """Option -> what to do instead: what a deployment says itself."""
    tensor: tuple[str, ...]
    pipeline: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    data_within_tensor: frozenset[str] = field(default_factory=frozenset)
    """With any of these, the replicas of `data` may share the GPUs of `tensor`."""
