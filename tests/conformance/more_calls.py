"""Calls that the capture matrix has not, by the names that the tables of more calls give them."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_float, c_int, c_size_t, c_void_p

from capture_cases import SIZE, Bench
from one_capture import Call, Maker

HOST_FUNCTION = ctypes.CFUNCTYPE(None, c_void_p)(lambda _: None)
CALLBACK = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_void_p)(lambda *_: None)
DISABLE_TIMING, WITH_TIMING = 2, 0


def _recorded(stream_of: str, flags: int) -> Maker:
    """An event recorded, and done, on a stream of the bench; "" is the legacy stream."""

    def make(bench: Bench) -> int:
        event = bench.hip.make("hipEventCreateWithFlags", flags)
        bench.hip.must("hipEventRecord", event, getattr(bench, stream_of) if stream_of else None)
        bench.hip.must("hipDeviceSynchronize")
        return event

    return make


def _from_pool(bench: Bench) -> int:
    memory = bench.hip.make("hipMallocAsync", SIZE, bench.other_nonblocking)
    bench.hip.must("hipStreamSynchronize", bench.other_nonblocking)
    return memory


READY: dict[str, Maker] = {
    **{
        f"{call}(event never recorded)": lambda b: b.hip.make("hipEventCreateWithFlags", 2)
        for call in ("EventQuery", "EventSynchronize")
    },
    **{
        f"{call}(event of the legacy stream)": _recorded("", DISABLE_TIMING)
        for call in ("EventQuery", "EventSynchronize")
    },
    "EventElapsedTime(events before capture)": _recorded("other_nonblocking", WITH_TIMING),
    "EventRecord(legacy stream)": _recorded("", DISABLE_TIMING),
    "FreeAsync(other stream)": _from_pool,
    "MemPoolTrimTo": lambda b: b.hip.make("hipDeviceGetDefaultMemPool", 0),
}

CALLS: dict[str, Call] = {
    "EventQuery(event never recorded)": lambda c: c.call("hipEventQuery", c.ready),
    "EventQuery(event of the legacy stream)": lambda c: c.call("hipEventQuery", c.ready),
    "EventSynchronize(event never recorded)": lambda c: c.call("hipEventSynchronize", c.ready),
    "EventSynchronize(event of the legacy stream)": lambda c: c.call(
        "hipEventSynchronize", c.ready
    ),
    "EventElapsedTime(events before capture)": lambda c: c.call(
        "hipEventElapsedTime", byref(c_float()), c.ready, c.ready
    ),
    "EventRecord(legacy stream)": lambda c: c.call("hipEventRecord", c.ready, None),
    "StreamQuery(legacy stream)": lambda c: c.call("hipStreamQuery", None),
    "StreamSynchronize(legacy stream)": lambda c: c.call("hipStreamSynchronize", None),
    "StreamWaitEvent(other stream, event before capture)": lambda c: c.call(
        "hipStreamWaitEvent", c.bench.other_nonblocking, c.event_other, 0
    ),
    "StreamWaitEvent(the capture stream, event before capture)": lambda c: c.call(
        "hipStreamWaitEvent", c.stream, c.event_other, 0
    ),
    "StreamIsCapturing(other stream)": lambda c: c.call(
        "hipStreamIsCapturing", c.bench.other_nonblocking, byref(c_int())
    ),
    "StreamCreate (blocking)": lambda c: c.create("hipStreamCreate"),
    "StreamCreateWithPriority": lambda c: c.create("hipStreamCreateWithPriority", 1, 0),
    "MemsetAsync(legacy stream)": lambda c: c.call(
        "hipMemsetAsync", c.bench.buffers[0], 0, 64, None
    ),
    "MemsetAsync(other stream)": lambda c: c.call(
        "hipMemsetAsync", c.bench.buffers[0], 0, 64, c.bench.other_nonblocking
    ),
    "MemcpyAsync D2D(legacy stream)": lambda c: c.call(
        "hipMemcpyAsync", c.bench.buffers[0], c.bench.buffers[1], 64, 3, None
    ),
    "MemcpyAsync H2D pageable(other stream)": lambda c: c.call(
        "hipMemcpyAsync", c.bench.buffers[0], c.bench.host, 64, 1, c.bench.other_nonblocking
    ),
    "MemcpyAsync D2H pageable(other stream)": lambda c: c.call(
        "hipMemcpyAsync", c.bench.host, c.bench.buffers[0], 64, 2, c.bench.other_nonblocking
    ),
    "MemcpyWithStream D2D(other stream)": lambda c: c.call(
        "hipMemcpyWithStream",
        c.bench.buffers[0],
        c.bench.buffers[1],
        64,
        3,
        c.bench.other_nonblocking,
    ),
    "MemcpyDtoH": lambda c: c.call("hipMemcpyDtoH", c.bench.host, c.bench.buffers[0], 64),
    "MemcpyDtoD": lambda c: c.call("hipMemcpyDtoD", c.bench.buffers[1], c.bench.buffers[0], 64),
    "Memcpy2D": lambda c: c.call(
        "hipMemcpy2D", c.bench.buffers[0], 64, c.bench.buffers[1], 64, 32, 2, 3
    ),
    "Memcpy2DAsync(other stream)": lambda c: c.call(
        "hipMemcpy2DAsync",
        c.bench.buffers[0],
        64,
        c.bench.buffers[1],
        64,
        32,
        2,
        3,
        c.bench.other_nonblocking,
    ),
    "MemcpyPeer": lambda c: c.call(
        "hipMemcpyPeer", c.bench.buffers[0], 0, c.bench.buffers[1], 0, 64
    ),
    "MemcpyPeerAsync(other stream)": lambda c: c.call(
        "hipMemcpyPeerAsync",
        c.bench.buffers[0],
        0,
        c.bench.buffers[1],
        0,
        64,
        c.bench.other_nonblocking,
    ),
    "MemsetD8": lambda c: c.call("hipMemsetD8", c.bench.buffers[0], 0, 64),
    "MallocAsync(other stream)": lambda c: c.call(
        "hipMallocAsync", byref(c_void_p()), SIZE, c.bench.other_nonblocking
    ),
    "MallocAsync(legacy stream)": lambda c: c.call("hipMallocAsync", byref(c_void_p()), SIZE, None),
    "FreeAsync(other stream)": lambda c: c.call("hipFreeAsync", c.ready, c.bench.other_nonblocking),
    "MemPoolTrimTo": lambda c: c.call("hipMemPoolTrimTo", c.ready, 0),
    "MallocManaged": lambda c: c.create("hipMallocManaged", SIZE, 1),
    "ExtMallocWithFlags(uncached)": lambda c: c.create("hipExtMallocWithFlags", SIZE, 3),
    "HostRegister": lambda c: c.call("hipHostRegister", c.bench.host, SIZE, 0),
    "PointerGetAttributes": lambda c: c.call(
        "hipPointerGetAttributes", ctypes.create_string_buffer(256), c.bench.buffers[0]
    ),
    "MemGetAddressRange": lambda c: c.call(
        "hipMemGetAddressRange", byref(c_void_p()), byref(c_size_t()), c.bench.buffers[0]
    ),
    "GetDevice": lambda c: c.call("hipGetDevice", byref(c_int())),
    "SetDevice(1)": lambda c: c.call("hipSetDevice", 1) or c.call("hipSetDevice", 0),
    "DeviceGetAttribute": lambda c: c.call("hipDeviceGetAttribute", byref(c_int()), 1, 0),
    "DeviceCanAccessPeer": lambda c: c.call("hipDeviceCanAccessPeer", byref(c_int()), 0, 1),
    "GetLastError": lambda c: c.call("hipGetLastError"),
    "LaunchHostFunc(other stream)": lambda c: c.call(
        "hipLaunchHostFunc", c.bench.other_nonblocking, HOST_FUNCTION, None
    ),
    "StreamAddCallback(other stream)": lambda c: c.call(
        "hipStreamAddCallback", c.bench.other_nonblocking, CALLBACK, None, 0
    ),
    "GraphUpload(other stream)": lambda c: c.call(
        "hipGraphUpload", c.bench.executable, c.bench.other_nonblocking
    ),
    "GraphLaunch(legacy stream)": lambda c: c.call("hipGraphLaunch", c.bench.executable, None),
    "GraphLaunch(the capture stream)": lambda c: c.call(
        "hipGraphLaunch", c.bench.executable, c.stream
    ),
    "ModuleGetFunction": lambda c: c.call(
        "hipModuleGetFunction", byref(c_void_p()), c.bench.module, b"bump"
    ),
}
