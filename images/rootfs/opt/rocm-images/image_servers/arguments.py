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
    others: tuple[tuple[str, ...], ...] = ()
    """Of each further kind of parallelism that takes GPUs of its own, its spellings."""
    data_within_tensor: frozenset[str] = field(default_factory=frozenset)
    """With any of these, the replicas of `data` may share the GPUs of `tensor`."""
    several_nodes: str = "a server on several nodes is not rendered here"
    """What to do for more GPUs than a node has."""
