"""Carries out one capture case in this process: begin, one foreign call, end, launch the graph."""

from __future__ import annotations

import ctypes
import time
from ctypes import c_int

from graph_probe import guard, state
from graph_probe.cases import SAME_THREAD, Case, ForeignCall, Observation
from graph_probe.runtime import (
    DEVICE_TO_DEVICE,
    DEVICE_TO_HOST,
    EVENT_DISABLE_TIMING,
    HOST_TO_DEVICE,
    STREAM_NON_BLOCKING,
    SUCCESS,
    Launch,
    Runtime,
)
from graph_probe.watchdog import HANDSHAKE_SECONDS, OtherThread

_FIRST, _SECOND = 1, 10
_BYTES = 4096
_POLL_SECONDS = 0.001


class Bench:
    """What a case needs on the device before its capture begins."""

    def __init__(self, runtime: Runtime, code: ctypes.Array[ctypes.c_char]) -> None:
        runtime.check("SetDevice", 0)
        self.runtime = runtime
        self.counter = runtime.create("Malloc", _BYTES)
        self.source = runtime.create("Malloc", _BYTES)
        self.target = runtime.create("Malloc", _BYTES)
        packed = state.pack({"position": self.counter})
        table = runtime.create("Malloc", ctypes.sizeof(packed))
        self.other_stream = self.stream()
        kernel = runtime.load_kernels(code, ["k_count"])["k_count"]
        runtime.check(
            "MemcpyAsync", table, packed, ctypes.sizeof(packed), HOST_TO_DEVICE, self.other_stream
        )
        self.first = Launch(runtime, kernel, 1, table, _FIRST)
        self.second = Launch(runtime, kernel, 1, table, _SECOND)
        for buffer in (self.counter, self.source, self.target):
            runtime.check("MemsetAsync", buffer, 0, _BYTES, self.other_stream)
        runtime.check("StreamSynchronize", self.other_stream)

    def stream(self) -> int:
        return self.runtime.create("StreamCreateWithFlags", STREAM_NON_BLOCKING)

    def recorded_event(self, stream: int) -> int:
        """An event that work on `stream` has already passed."""
        event = self.runtime.create("EventCreateWithFlags", EVENT_DISABLE_TIMING)
        self.runtime.check("EventRecord", event, stream)
        self.runtime.check("StreamSynchronize", stream)
        return event

    def counted(self) -> int:
        """Reads the counter back. The graph's kernels are all that ever adds to it."""
        value = c_int(-1)
        self.runtime.check(
            "MemcpyAsync", ctypes.byref(value), self.counter, 4, DEVICE_TO_HOST, self.other_stream
        )
        self.runtime.check("StreamSynchronize", self.other_stream)
        return value.value

    def replay(self, graph: int) -> int:
        """Launches the captured graph once and returns what it counted."""
        executable = self.runtime.create("GraphInstantiateWithFlags", graph, 0)
        stream = self.stream()
        self.runtime.check("GraphLaunch", executable, stream)
        self.runtime.check("StreamSynchronize", stream)
        return self.counted()


def _is_held(other: OtherThread) -> bool:
    """Waits until the other thread's call has come back or is held back by the guard."""
    deadline = time.monotonic() + HANDSHAKE_SECONDS
    while not other.returned and time.monotonic() < deadline:
        if guard.calls_waiting():
            return True
        time.sleep(_POLL_SECONDS)
    return False


def observe(runtime: Runtime, code: ctypes.Array[ctypes.c_char], case: Case) -> Observation:
    """Runs `case` once. A dead capture may leave the process dirty: use a process for each case.

    Raises ProbeError where anything but the capture itself goes wrong.
    """
    bench = Bench(runtime, code)
    capturing = bench.stream()
    elsewhere, before = bench.recorded_event(bench.other_stream), bench.recorded_event(capturing)
    inside = runtime.create("EventCreateWithFlags", EVENT_DISABLE_TIMING)
    same_thread = case.thread_mode == SAME_THREAD
    other = None if same_thread else OtherThread(runtime, 0, case.thread_mode)

    def foreign_call() -> int:
        if case.call in (ForeignCall.QUERY_OTHER, ForeignCall.QUERY_BEFORE):
            event = elsewhere if case.call is ForeignCall.QUERY_OTHER else before
            return runtime.status("EventQuery", event)
        if case.call in (ForeignCall.WAIT_OTHER, ForeignCall.WAIT_BEFORE):
            event = elsewhere if case.call is ForeignCall.WAIT_OTHER else before
            return runtime.status("EventSynchronize", event)
        if case.call is ForeignCall.QUERY_INSIDE:
            return runtime.status("EventQuery", inside)
        if case.call is ForeignCall.STREAM_SYNCHRONIZE:
            return runtime.status("StreamSynchronize", capturing)
        if case.call is ForeignCall.COPY:
            return runtime.status("Memcpy", bench.target, bench.source, 64, DEVICE_TO_DEVICE)
        if case.call is ForeignCall.FILL:
            return runtime.status("Memset", bench.target, 0, 64)
        return runtime.status("DeviceSynchronize")

    runtime.check("StreamBeginCapture", capturing, case.capture_mode)
    bench.first.on(capturing)
    runtime.status("EventRecord", inside, capturing)
    if other is None:
        call_status = foreign_call()
    else:
        other.begin(foreign_call)
        # The guard holds a blocking call until the capture is over; all others come back at once.
        held = runtime.guarded and _is_held(other)
        call_status = SUCCESS if held else other.finish()
    capture_status = runtime.capture_status(capturing)
    bench.second.on(capturing)
    end_status, graph = runtime.end_capture(capturing)
    if other is not None and held:
        call_status = other.finish()
    runtime.status("GetLastError")
    whole = end_status == SUCCESS and graph != 0
    return Observation(
        call_status,
        capture_status,
        end_status,
        graph != 0,
        bench.replay(graph) if whole else -1,
        _FIRST + _SECOND,
    )
