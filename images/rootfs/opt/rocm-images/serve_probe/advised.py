"""Which advisories of matrix.yaml a GPU's fault is a sign of."""

from __future__ import annotations

from image_servers import SERVERS
from serve_probe import faults
from serve_probe.causes import Cause
from serve_probe.place import Place
from serve_probe.server_log import ServerLog
from serve_probe.signs import Sign
from serve_probe.verdict import Stage

OF_BROKEN_GRAPHS = "0x1016"
"""The code of a GPU's exception that a broken graph can cause."""
_RANKS_OF_THE_SLOT_BUG = 8


def advisories_of_fault(log: ServerLog, cause: Cause, sign: Sign, place: Place) -> tuple[str, ...]:
    """Advisories whose own signs these are, without those that are about another server alone."""
    others = frozenset().union(*(server.log.advisories for server in SERVERS.values()))
    others -= log.said.advisories
    return tuple(name for name in _by_sign(log, cause, sign, place) if name not in others)


def _by_sign(log: ServerLog, cause: Cause, sign: Sign, place: Place) -> tuple[str, ...]:
    decoding = place.stage in (Stage.WARMING_UP, Stage.SERVING)
    with_graph, eagerly = log.decoded_with_graph
    graphs = bool(log.captures or with_graph or not eagerly)
    # One GPU's lines name no rank; of a log without its beginning nobody knows.
    named = any(entry.rank is not None for entry in log.entries)
    several = named or not any(entry.own for entry in log.entries)
    if cause is faults.GPU_EXCEPTION and sign.code == OF_BROKEN_GRAPHS:
        own = {"hip-event-query": graphs}
        own["ar-exit-barrier"] = several and log.all_reduce_taken in {None, "aiter"}
        return tuple(name for name, shown in own.items() if shown and (decoding or place.phase))
    if cause is faults.MEMORY_FAULT and place.phase is not None:
        ranks = max((capture.rank for capture in log.captures), default=0) + 1
        if log.all_reduce_taken not in {None, "aiter"}:
            return ()
        return ("aiter-ar-slot",) if ranks >= _RANKS_OF_THE_SLOT_BUG else ()
    if cause is faults.MEMORY_FAULT and decoding:
        return ("aiter-allgather", "war-barrier") if graphs and several else ("war-barrier",)
    return ()
