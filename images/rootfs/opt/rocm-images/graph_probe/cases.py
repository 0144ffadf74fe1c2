"""The capture cases, what each proves, and the verdict on the runtime that their outcomes give.

ROCm 7.2.0 has two bugs in hipEventQuery and hipEventSynchronize (pytorch#177309, rocm-systems#3176,
#3195). A: the caller's capture mode is not looked at, so a query of an event of any explicit
stream, by a thread that opted out, kills every GLOBAL capture. B: an event recorded *before* the
capture, on the stream that captures now, counts as captured: the query returns 907 and kills that
capture, in every mode. Whether an event of the null stream, or one that was never recorded, is
checked at all differs from version to version (HIP 6.4.3 does not, 7.2.4 does), so a case with one
of those could pass blind; none is here.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from typing import NamedTuple

from graph_probe.runtime import (
    CAPTURED_EVENT,
    GLOBAL,
    MODE_NAME,
    NOT_READY,
    RELAXED,
    SUCCESS,
    THREAD_LOCAL,
    error_name,
)

SAME_THREAD = -1


class Kind(str, enum.Enum):
    """What a case is for."""

    MUST_SURVIVE = "must survive"
    CONTROL = "control that must die"
    INFORMATION = "information"


class ForeignCall(str, enum.Enum):
    """The one call that is made while the capture is open."""

    QUERY_OTHER = "hipEventQuery of an event of another stream"
    QUERY_BEFORE = "hipEventQuery of an event recorded on the capture stream before the capture"
    QUERY_INSIDE = "hipEventQuery of an event recorded in the capture"
    WAIT_OTHER = "hipEventSynchronize with an event of another stream"
    WAIT_BEFORE = (
        "hipEventSynchronize with an event recorded on the capture stream before the capture"
    )
    STREAM_QUERY_OTHER = "hipStreamQuery of another stream"
    STREAM_SYNCHRONIZE = "hipStreamSynchronize of the capture stream"
    DEVICE_SYNCHRONIZE = "hipDeviceSynchronize"
    COPY = "hipMemcpy, synchronous"
    FILL = "hipMemset, synchronous"
    COPY_TO_HOST = "hipMemcpyDtoH"
    COPY_ON_DEVICE = "hipMemcpyDtoD"
    COPY_2D = "hipMemcpy2D"
    COPY_PEER = "hipMemcpyPeer"
    FILL_BYTES = "hipMemsetD8"

    @property
    def function(self) -> str:
        """The name that it has in runtime.CALLS."""
        return re.split(r"[ ,]", self.value)[0].removeprefix("hip")


class Case(NamedTuple):
    """A capture in `capture_mode`, and one call in it by a thread in `thread_mode`."""

    kind: Kind
    capture_mode: int
    thread_mode: int
    call: ForeignCall

    @property
    def name(self) -> str:
        caller = (
            "the capturing thread"
            if self.thread_mode == SAME_THREAD
            else f"a {MODE_NAME[self.thread_mode]} thread"
        )
        return f"{MODE_NAME[self.capture_mode]} capture, {self.call.value} by {caller}"


class Observation(NamedTuple):
    """What one case's process saw. `counted`: what the launched graph added up to, -1 where it
    was never launched; `expected`: what both of its kernels add up to."""

    call_status: int
    capture_status: int
    end_status: int
    has_graph: bool
    counted: int
    expected: int
    crash: str = ""

    @property
    def survived(self) -> bool:
        """The graph is whole. An error from the call counts too: a watchdog aborts on one."""
        return (
            not self.crash
            and self.call_status in (SUCCESS, NOT_READY)
            and self.end_status == SUCCESS
            and self.has_graph
            and self.counted == self.expected
        )

    @property
    def refused(self) -> bool:
        """The runtime itself ended the capture, which a crash of the process does not show."""
        return not self.crash and (self.end_status != SUCCESS or not self.has_graph)

    @property
    def description(self) -> str:
        if self.crash:
            return self.crash
        text = f"the call returned {error_name(self.call_status)}"
        if self.survived:
            return f"{text}, the capture survived"
        if self.end_status != SUCCESS or not self.has_graph:
            return f"{text}, the capture is dead: EndCapture returned {error_name(self.end_status)}"
        if self.counted != self.expected:
            return f"{text}, the graph is not whole: it counts {self.counted}, not {self.expected}"
        return f"{text}, the capture survived, but PyTorch's watchdog aborts on such an error"


class Outcome(NamedTuple):
    case: Case
    seen: Observation


class Verdict(NamedTuple):
    """Whether a watchdog can kill a capture, by which bugs, and what says so."""

    safe: bool
    bugs: list[str]
    outcomes: list[Outcome]

    def of_kind(self, kind: Kind) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.case.kind is kind]

    @property
    def killed(self) -> list[Outcome]:
        return [entry for entry in self.of_kind(Kind.MUST_SURVIVE) if not entry.seen.survived]


_EVENT_CALLS = (
    ForeignCall.QUERY_OTHER,
    ForeignCall.QUERY_BEFORE,
    ForeignCall.WAIT_OTHER,
    ForeignCall.WAIT_BEFORE,
)
_QUERIES = (ForeignCall.QUERY_OTHER, ForeignCall.QUERY_BEFORE)

CASES: tuple[Case, ...] = (
    # A thread that opted out of GLOBAL's reach, as PyTorch's watchdog does, beside torch's default.
    *(
        Case(Kind.MUST_SURVIVE, GLOBAL, thread_mode, call)
        for thread_mode in (THREAD_LOCAL, RELAXED)
        for call in _EVENT_CALLS
    ),
    # Captures that no other thread's mode may reach.
    *(
        Case(Kind.MUST_SURVIVE, THREAD_LOCAL, thread_mode, call)
        for thread_mode in (GLOBAL, THREAD_LOCAL, RELAXED)
        for call in _QUERIES
    ),
    *(Case(Kind.MUST_SURVIVE, RELAXED, THREAD_LOCAL, call) for call in _QUERIES),
    # Without deaths that must be, survival would prove nothing. CUDA, HIP 6.4.3 and 7.2.4 all kill
    # a capture for each of these calls; 6.4.3 does not for an event query of another stream.
    Case(Kind.CONTROL, GLOBAL, GLOBAL, ForeignCall.STREAM_QUERY_OTHER),
    Case(Kind.CONTROL, GLOBAL, THREAD_LOCAL, ForeignCall.QUERY_INSIDE),
    Case(Kind.CONTROL, GLOBAL, SAME_THREAD, ForeignCall.STREAM_SYNCHRONIZE),
    # What kills a capture from any thread: all of it on HIP 7.2.4, all but hipMemcpyPeer on 6.4.3,
    # on CUDA only the synchronisation. A runtime that lacks one of these calls is not asked it.
    *(
        Case(Kind.INFORMATION, GLOBAL, THREAD_LOCAL, call)
        for call in (
            ForeignCall.COPY,
            ForeignCall.FILL,
            ForeignCall.DEVICE_SYNCHRONIZE,
            ForeignCall.COPY_TO_HOST,
            ForeignCall.COPY_ON_DEVICE,
            ForeignCall.COPY_2D,
            ForeignCall.COPY_PEER,
            ForeignCall.FILL_BYTES,
        )
    ),
)


def bug_of(outcome: Outcome) -> str | None:
    """ "A" or "B" for a death those bugs explain; None for a survival or any other death."""
    if outcome.case.kind is not Kind.MUST_SURVIVE or outcome.seen.survived or outcome.seen.crash:
        return None
    if outcome.seen.call_status == CAPTURED_EVENT:
        before = (ForeignCall.QUERY_BEFORE, ForeignCall.WAIT_BEFORE)
        return "B" if outcome.case.call in before else None
    # Bug A reaches GLOBAL captures only, and shows as an error of the call.
    refused = outcome.seen.call_status not in (SUCCESS, NOT_READY)
    return "A" if refused and outcome.case.capture_mode == GLOBAL else None


def judge_capture(outcomes: Sequence[Outcome]) -> Verdict:
    """The verdict: safe only if every case that must survive did. Controls do not change it."""
    must = [entry for entry in outcomes if entry.case.kind is Kind.MUST_SURVIVE]
    bugs = sorted({bug for bug in map(bug_of, must) if bug})
    return Verdict(all(entry.seen.survived for entry in must), bugs, list(outcomes))
