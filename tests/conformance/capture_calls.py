"""The runtime calls of the capture matrix, by the names that it gives them."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_size_t, c_void_p

from capture_cases import MODES, SIZE
from one_capture import FAR, Call, Case, Maker


def _mem_get_info(case: Case) -> int:
    return case.hip.call("hipMemGetInfo", byref(c_size_t()), byref(c_size_t()))


def _fork_and_launch(case: Case) -> int:
    other = case.bench.other_nonblocking
    waited = case.hip.call("hipStreamWaitEvent", other, case.event_inside, 0)
    return waited or case.bench.bump(other)


def _whole_capture(case: Case) -> int:
    stream = case.hip.make("hipStreamCreateWithFlags", 1)
    began = case.hip.call("hipStreamBeginCapture", stream, MODES["GLOBAL"])
    case.bench.bump(stream)
    ended = case.hip.call("hipStreamEndCapture", stream, byref(c_void_p()))
    case.hip.must("hipStreamDestroy", stream)
    return began or ended


def _of_event(name: str, event: str) -> Call:
    return lambda case: case.hip.call(name, getattr(case, event))


def _of_stream(name: str) -> Call:
    return lambda case: case.hip.call(name, case.bench.other_nonblocking)


def _uses_up(name: str) -> Call:
    return lambda case: case.hip.call(name, case.ready)


def _creates(name: str, *arguments: object) -> Call:
    return lambda case: case.create(name, *arguments)


READY: dict[str, Maker] = {
    "Free": lambda b: b.hip.make("hipMalloc", SIZE),
    "FreeHost": lambda b: b.hip.make("hipHostMalloc", SIZE, 0),
    "EventDestroy": lambda b: b.hip.make("hipEventCreateWithFlags", 2),
    "StreamDestroy": lambda b: b.hip.make("hipStreamCreateWithFlags", 1),
    "GraphExecDestroy": lambda b: b.hip.make("hipGraphInstantiateWithFlags", b.graph, 0),
    "ModuleUnload": lambda b: b.hip.make("hipModuleLoadData", b.image),
}

CALLS: dict[str, Call] = {
    "EventQuery(event before capture, other stream)": _of_event("hipEventQuery", "event_other"),
    "EventQuery(event before capture, the capture stream)": _of_event(
        "hipEventQuery", "event_same"
    ),
    "EventQuery(event recorded in the capture)": _of_event("hipEventQuery", "event_inside"),
    "EventSynchronize(before capture, other stream)": _of_event(
        "hipEventSynchronize", "event_other"
    ),
    "EventSynchronize(before capture, the capture stream)": _of_event(
        "hipEventSynchronize", "event_same"
    ),
    "EventSynchronize(event recorded in the capture)": _of_event(
        "hipEventSynchronize", "event_inside"
    ),
    "StreamQuery(other stream)": _of_stream("hipStreamQuery"),
    "StreamSynchronize(other stream)": _of_stream("hipStreamSynchronize"),
    "StreamQuery(the capture stream)": lambda c: c.hip.call("hipStreamQuery", c.stream),
    "StreamSynchronize(the capture stream)": lambda c: c.hip.call("hipStreamSynchronize", c.stream),
    "DeviceSynchronize": lambda c: c.hip.call("hipDeviceSynchronize"),
    "Malloc": _creates("hipMalloc", SIZE),
    "HostAlloc": _creates("hipHostMalloc", SIZE, 0),
    "IpcGetMemHandle": lambda c: c.hip.call(
        "hipIpcGetMemHandle", ctypes.create_string_buffer(64), c.bench.buffers[0]
    ),
    "MemGetInfo": _mem_get_info,
    "Memcpy D2D (sync, legacy stream)": lambda c: c.hip.call("hipMemcpy", *c.bench.buffers, 64, 3),
    "Memcpy D2H (sync, legacy stream)": lambda c: c.hip.call(
        "hipMemcpy", c.bench.host, c.bench.buffers[0], 64, 2
    ),
    "Memset (sync, legacy stream)": lambda c: c.hip.call("hipMemset", c.bench.buffers[0], 0, 64),
    "MemcpyAsync D2D (other stream)": lambda c: c.hip.call(
        "hipMemcpyAsync", *c.bench.buffers, 64, 3, c.bench.other_nonblocking
    ),
    "launch on the legacy stream": lambda c: c.bench.bump(None),
    "launch on another non-blocking stream": lambda c: c.bench.bump(c.bench.other_nonblocking),
    "launch on another blocking stream": lambda c: c.bench.bump(c.bench.other_blocking),
    "launch on the capture stream": lambda c: c.bench.bump(c.stream),
    "EventRecord(other stream)": lambda c: c.hip.call(
        "hipEventRecord", c.event_other, c.bench.other_nonblocking
    ),
    "StreamWaitEvent(other stream, event of the capture): unjoined fork": lambda c: c.hip.call(
        "hipStreamWaitEvent", c.bench.other_nonblocking, c.event_inside, 0
    ),
    "StreamWaitEvent(other stream, event of the capture) and a launch there": _fork_and_launch,
    "Free": _uses_up("hipFree"),
    "FreeHost": _uses_up("hipHostFree"),
    "EventDestroy": _uses_up("hipEventDestroy"),
    "StreamDestroy": _uses_up("hipStreamDestroy"),
    "GraphExecDestroy": _uses_up("hipGraphExecDestroy"),
    "ModuleUnload": _uses_up("hipModuleUnload"),
    "DeviceEnablePeerAccess (again)": lambda c: c.hip.call("hipDeviceEnablePeerAccess", 1, 0),
    "EventCreate": _creates("hipEventCreateWithFlags", 2),
    "StreamCreate": _creates("hipStreamCreateWithFlags", 1),
    "GraphLaunch of a ready graph (other stream)": lambda c: c.hip.call(
        "hipGraphLaunch", c.bench.executable, c.bench.other_nonblocking
    ),
    "GraphInstantiate": lambda c: c.create("hipGraphInstantiateWithFlags", c.bench.graph, 0),
    "ModuleLoadData": lambda c: c.create("hipModuleLoadData", c.bench.image),
    "a whole GLOBAL capture on another stream": _whole_capture,
    "EndCapture of this capture": lambda c: c.hip.call(
        "hipStreamEndCapture", c.stream, byref(c_void_p())
    ),
    FAR + "EventQuery(event of device 1)": lambda c: c.hip.call("hipEventQuery", c.bench.far()[1]),
    FAR + "StreamSynchronize(stream of device 1)": lambda c: c.hip.call(
        "hipStreamSynchronize", c.bench.far()[0]
    ),
    FAR + "DeviceSynchronize": lambda c: c.hip.call("hipDeviceSynchronize"),
    FAR + "Memset (sync)": lambda c: c.hip.call("hipMemset", c.bench.far()[2], 0, 64),
    FAR + "Malloc": _creates("hipMalloc", SIZE),
    FAR + "EventQuery(event before capture, the capture stream of device 0)": _of_event(
        "hipEventQuery", "event_same"
    ),
}
