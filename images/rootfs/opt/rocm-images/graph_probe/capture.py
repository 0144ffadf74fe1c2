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
        self.host = ctypes.create_string_buffer(_BYTES)
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
    """Runs `case` once. case_jobs.py says which may share a process.

    Raises ProbeError where anything but the capture itself goes wrong.
    """
    bench = Bench(runtime, code)
    capturing = bench.stream()
    elsewhere, before = bench.recorded_event(bench.other_stream), bench.recorded_event(capturing)
    inside = runtime.create("EventCreateWithFlags", EVENT_DISABLE_TIMING)
    same_thread = case.thread_mode == SAME_THREAD
    other = None if same_thread else OtherThread(runtime, 0, case.thread_mode)

    to, source = bench.target, bench.source
    arguments: dict[ForeignCall, tuple[object, ...]] = {
        ForeignCall.QUERY_OTHER: (elsewhere,),
        ForeignCall.WAIT_OTHER: (elsewhere,),
        ForeignCall.QUERY_BEFORE: (before,),
        ForeignCall.WAIT_BEFORE: (before,),
        ForeignCall.QUERY_INSIDE: (inside,),
        ForeignCall.STREAM_QUERY_OTHER: (bench.other_stream,),
        ForeignCall.STREAM_SYNCHRONIZE: (capturing,),
        ForeignCall.DEVICE_SYNCHRONIZE: (),
        ForeignCall.COPY: (to, source, 64, DEVICE_TO_DEVICE),
        ForeignCall.FILL: (to, 0, 64),
        ForeignCall.COPY_TO_HOST: (bench.host, source, 64),
        ForeignCall.COPY_ON_DEVICE: (to, source, 64),
        ForeignCall.COPY_2D: (to, 64, source, 64, 64, 1, DEVICE_TO_DEVICE),
        ForeignCall.COPY_PEER: (to, 0, source, 0, 64),
        ForeignCall.FILL_BYTES: (to, 0, 64),
    }

    def foreign_call() -> int:
        return runtime.status(case.call.function, *arguments[case.call])

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
