"""The replay cases, what each replays, and the verdict on the runtime that they give.

Two faults of AMD's runtimes were found with cases like these, on emulated GPUs. HIP 7.2.4: where a
graph has several roots, those on another hardware queue do not wait for the launch stream. HIP
6.4.3: memset nodes keep their pattern where later launches on the null stream put their arguments.
Both are good or bad by process, hence several fresh ones, each with another number of streams.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class ReplayCase(NamedTuple):
    """One way to capture and launch; `crowded`: beside launches with large arguments."""

    name: str
    description: str
    crowded: bool = False


CASES: tuple[ReplayCase, ...] = (
    ReplayCase("chain", "kernels one after the other", crowded=True),
    ReplayCase("fork", "a node, and then three side streams"),
    ReplayCase("two-roots", "a side stream that is forked before the first node"),
    ReplayCase("four-roots", "three side streams that are forked before the first node"),
    ReplayCase("copy-and-memset-roots", "a copy node and a memset node as roots beside a kernel"),
    ReplayCase("memset", "a memset node and kernels after it", crowded=True),
    ReplayCase("copy", "copy nodes between kernels", crowded=True),
    ReplayCase("pool", "four graphs that share their buffers, launched one after the other"),
)

OTHER_STREAMS = (0, 1, 2, 3, 4, 8)
"""How many other streams were made and used before: one process for each."""


class Switch(NamedTuple):
    """A setting of HIP under which replays are made in another way."""

    variable: str
    value: str

    @property
    def text(self) -> str:
        return f"{self.variable}={self.value}"


SWITCHES = (
    Switch("DEBUG_HIP_GRAPH_SEGMENT_SCHEDULING", "0"),
    Switch("DEBUG_CLR_GRAPH_PACKET_CAPTURE", "0"),
)


def switches_set(environment: Mapping[str, str]) -> dict[str, str]:
    """Those of the known switches that the environment sets, to whatever value."""
    names = [switch.variable for switch in SWITCHES]
    return {name: environment[name] for name in names if name in environment}


class Wrong(NamedTuple):
    """The first word that was wrong, in which replay, counted from 1."""

    replay: int
    value: int
    expected: int


class ReplaySeen(NamedTuple):
    """What one process saw of one case; `problem`: why it did not come to its end, else empty."""

    case: int
    other_streams: int
    replays: int
    wrong: int
    first: Wrong | None = None
    problem: str = ""

    @property
    def right(self) -> bool:
        return self.wrong == 0 and not self.problem


class CaseResult(NamedTuple):
    """One case in all of its processes."""

    case: ReplayCase
    seen: list[ReplaySeen]

    @property
    def right(self) -> bool:
        return all(entry.right for entry in self.seen)

    @property
    def replays(self) -> int:
        return sum(entry.replays for entry in self.seen)

    @property
    def wrong(self) -> int:
        return sum(entry.wrong for entry in self.seen)

    @property
    def wrong_in(self) -> list[ReplaySeen]:
        """The processes in which it was not right."""
        return [entry for entry in self.seen if not entry.right]


class Cure(NamedTuple):
    """What was seen of every case with a switch set, in as many processes as without it."""

    switch: Switch
    results: list[CaseResult]

    @property
    def right(self) -> list[str]:
        return [result.case.name for result in self.results if result.right]


class ReplayVerdict(NamedTuple):
    """Whether replays gave what must come out; `cures` were tried only where they did not."""

    results: list[CaseResult]
    cures: list[Cure]
    seeds: list[str]
    switches: dict[str, str]

    @property
    def right(self) -> bool:
        return all(result.right for result in self.results)

    @property
    def wrong(self) -> list[CaseResult]:
        return [result for result in self.results if not result.right]

    def cured_by(self, case: ReplayCase) -> list[str]:
        """The switches under which every process was right in this case."""
        return [cure.switch.text for cure in self.cures if case.name in cure.right]

    @property
    def uncured(self) -> list[CaseResult]:
        """What was wrong and is so under every switch that was tried."""
        return [result for result in self.wrong if not self.cured_by(result.case)]

    @property
    def sentence(self) -> str:
        """What was wrong and what cures it, for the end of a report."""
        names: dict[str, list[str]] = {}
        for result in self.wrong:
            cures = " or ".join(self.cured_by(result.case)) or "no switch"
            names.setdefault(cures, []).append(result.case.name)
        return "; ".join(
            ", ".join(cases) + (f" (cured here by {cure})" if self.cures else "")
            for cure, cases in names.items()
        )


def results_of(seen: Sequence[ReplaySeen]) -> list[CaseResult]:
    """What was seen, by case, each by the number of other streams."""
    ordered = sorted(seen, key=lambda entry: entry.other_streams)
    return [
        CaseResult(case, [entry for entry in ordered if entry.case == number])
        for number, case in enumerate(CASES)
    ]
