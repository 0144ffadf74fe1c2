"""What a server's captured graphs are like: how many there are, and how many roots they have."""

from __future__ import annotations

import re
from dataclasses import dataclass

from serve_probe.checks import Check
from serve_probe.server_log import ServerLog

_GRAPH = re.compile(
    r"\[serve-probe [^\]]{1,80}\] roots: (?:graph with roots (\d{1,9}) of nodes (\d{1,9})|(unread))"
)


@dataclass(frozen=True)
class CapturedGraphs:
    """Of all ranks of one server. `unread`: captures whose graph could not be looked at."""

    captured: int
    with_several_roots: int
    largest_root_count: int
    largest_node_count: int
    unread: int

    @property
    def check(self) -> Check:
        """Whether every graph was read; how many roots they have is no fault of a server."""
        read = self.captured > 0 and self.unread == 0
        several = f"{self.with_several_roots} with more than one root"
        most = f" (at most {self.largest_root_count})" if self.with_several_roots else ""
        found = f"{self.captured} graphs captured, {several}{most}, {self.unread} not read."
        return Check("roots-read", read, found, "graph")


def captured_graphs(log: ServerLog) -> CapturedGraphs:
    """Reads what the injection wrote at the end of each capture."""
    found = [match for line in log.lines for match in _GRAPH.findall(line)]
    roots = [int(count) for count, _, unread in found if not unread]
    nodes = [int(count) for _, count, unread in found if not unread]
    return CapturedGraphs(
        len(found),
        sum(count > 1 for count in roots),
        max(roots, default=0),
        max(nodes, default=0),
        len(found) - len(roots),
    )
