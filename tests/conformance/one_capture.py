"""Makes one runtime call inside one stream capture, and says what it did.

Nothing races: the capture begins, the call is made (by its own thread, which hands the result
back), the capture ends. Each row uses fresh streams and events.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import byref, c_void_p

from capture_cases import MODES, RELAXED, SAME_THREAD, STREAM_FLAGS, Bench
from capture_tables import Observed, Row

FAR = "device 1: "
"""How the name of a call begins that a thread on the second device makes."""


class Case:
    """One capture on a fresh stream, with the events and objects that a call may want.

    `ready` holds what the row's maker made before the capture, for the calls that want more.
    """

    def __init__(self, bench: Bench, row: Row, maker: Maker | None) -> None:
        hip = bench.hip
        self.bench, self.hip = bench, hip
        self.stream = hip.make("hipStreamCreateWithFlags", STREAM_FLAGS[row.stream])
        self.event_other, self.event_same, self.event_inside = (
            hip.make("hipEventCreateWithFlags", 2) for _ in range(3)
        )
        for event, stream in (
            (self.event_other, bench.other_nonblocking),
            (self.event_same, self.stream),
        ):
            bench.bump(stream)
            hip.must("hipEventRecord", event, stream)
            hip.must("hipStreamSynchronize", stream)
        self.ready = maker(bench) if maker else 0

    def call(self, name: str, *arguments: object) -> int:
        return self.hip.call(name, *arguments)

    def create(self, name: str, *arguments: object) -> int:
        return self.hip.call(name, byref(c_void_p()), *arguments)

    def close(self) -> None:
        for event in (self.event_other, self.event_same, self.event_inside):
            self.hip.must("hipEventDestroy", event)
        self.hip.must("hipStreamDestroy", self.stream)


Call = Callable[[Case], int]
Maker = Callable[[Bench], int]
"""Makes before the capture what a call uses in it; the handle."""


def measure(bench: Bench, row: Row, call: Call, maker: Maker | None = None) -> Observed:
    """Makes the row's call inside a capture of the row's kind."""
    hip = bench.hip
    device = 1 if row.call.startswith(FAR) else 0
    if device:
        bench.far()
    case = Case(bench, row, maker)
    caller = None if row.caller in SAME_THREAD else bench.caller(device, MODES[row.caller])
    hip.must("hipStreamBeginCapture", case.stream, MODES[row.capture_mode])
    bench.bump(case.stream)
    hip.must("hipEventRecord", case.event_inside, case.stream)
    own_mode = ctypes.c_int(RELAXED)
    if SAME_THREAD.get(row.caller) is not None:
        hip.must("hipThreadExchangeStreamCaptureMode", byref(own_mode))
    call_rc = caller.ask(lambda: call(case)) if caller else call(case)
    if SAME_THREAD.get(row.caller) is not None:
        hip.must("hipThreadExchangeStreamCaptureMode", byref(own_mode))
    bench.bump(case.stream)
    graph = c_void_p()
    end_rc = hip.call("hipStreamEndCapture", case.stream, byref(graph))
    survived = end_rc == 0 and graph.value is not None
    if survived:
        hip.must("hipGraphDestroy", graph)
    case.close()
    return Observed(call_rc, int(survived), end_rc)
