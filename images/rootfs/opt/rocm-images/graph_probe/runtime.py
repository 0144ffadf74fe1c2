"""The one table of runtime calls the probe uses, for HIP and CUDA, and their loading by ctypes.

Left out on purpose, because their ABI differs between HIP and CUDA or between HIP's versions:
GraphInstantiate, StreamGetCaptureInfo, device properties read by offset, attribute numbers of HIP.
CDLL releases the interpreter's lock during every call, so another thread's calls are really
concurrent; PyDLL would not.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import (
    POINTER,
    byref,
    c_char_p,
    c_int,
    c_size_t,
    c_ubyte,
    c_uint,
    c_ulonglong,
    c_void_p,
)
from typing import Any, NamedTuple

from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.guard import as_linked
from graph_probe.library import Libraries

GLOBAL, THREAD_LOCAL, RELAXED = 0, 1, 2
MODE_NAME = ("GLOBAL", "THREAD_LOCAL", "RELAXED")
HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE = 1, 2, 3
STREAM_NON_BLOCKING = 1
EVENT_DISABLE_TIMING = 2
SUCCESS, NOT_READY, PEER_ACCESS_ALREADY_ENABLED = 0, 600, 704
CAPTURED_EVENT = 907

ERROR_NAME = {
    0: "success",
    1: "invalid value",
    2: "out of memory",
    100: "no device",
    101: "invalid device",
    209: "no kernel image for this device",
    217: "peer access unsupported",
    400: "invalid handle",
    401: "illegal state",
    500: "symbol not found",
    600: "not ready",
    700: "illegal address",
    704: "peer access already enabled",
    719: "launch failure",
    801: "not supported",
    900: "StreamCaptureUnsupported",
    901: "StreamCaptureInvalidated",
    902: "StreamCaptureMerge",
    903: "StreamCaptureUnmatched",
    904: "StreamCaptureUnjoined",
    905: "StreamCaptureIsolation",
    906: "StreamCaptureImplicit",
    907: "CapturedEvent",
    908: "StreamCaptureWrongThread",
    999: "unknown error",
}

_OUT = POINTER(c_void_p)


class Call(NamedTuple):
    """One call: its argument types, and its symbols where they are not hipNAME and cudaNAME."""

    arguments: tuple[Any, ...]
    hip: str = ""
    cuda: str = ""
    in_driver: bool = False
    optional: bool = False


CALLS: dict[str, Call] = {
    "GetDeviceCount": Call((POINTER(c_int),)),
    "SetDevice": Call((c_int,)),
    "RuntimeGetVersion": Call((POINTER(c_int),)),
    "DeviceSynchronize": Call(()),
    "GetLastError": Call(()),
    "Malloc": Call((_OUT, c_size_t)),
    # Uncached memory: a peer's store is seen by a kernel that is polling for it.
    "MallocUncached": Call(
        (_OUT, c_size_t, c_uint), hip="hipExtMallocWithFlags", cuda="-", optional=True
    ),
    "Memcpy": Call((c_void_p, c_void_p, c_size_t, c_int)),
    "MemcpyAsync": Call((c_void_p, c_void_p, c_size_t, c_int, c_void_p)),
    "Memset": Call((c_void_p, c_int, c_size_t)),
    # For capture cases that tell what else kills a capture on HIP, where there are such calls.
    "MemcpyDtoH": Call((c_void_p, c_void_p, c_size_t), cuda="-", optional=True),
    "MemcpyDtoD": Call((c_void_p, c_void_p, c_size_t), cuda="-", optional=True),
    "Memcpy2D": Call(
        (c_void_p, c_size_t, c_void_p, c_size_t, c_size_t, c_size_t, c_int),
        cuda="-",
        optional=True,
    ),
    "MemcpyPeer": Call((c_void_p, c_int, c_void_p, c_int, c_size_t), cuda="-", optional=True),
    "MemsetD8": Call((c_void_p, c_ubyte, c_size_t), cuda="-", optional=True),
    "MemsetAsync": Call((c_void_p, c_int, c_size_t, c_void_p)),
    "StreamCreateWithFlags": Call((_OUT, c_uint)),
    "StreamSynchronize": Call((c_void_p,)),
    "StreamQuery": Call((c_void_p,)),
    "StreamWaitEvent": Call((c_void_p, c_void_p, c_uint)),
    "EventCreateWithFlags": Call((_OUT, c_uint)),
    "EventRecord": Call((c_void_p, c_void_p)),
    "EventQuery": Call((c_void_p,)),
    "EventSynchronize": Call((c_void_p,)),
    "StreamBeginCapture": Call((c_void_p, c_int)),
    "StreamEndCapture": Call((c_void_p, _OUT)),
    "StreamIsCapturing": Call((c_void_p, POINTER(c_int))),
    "ThreadExchangeStreamCaptureMode": Call((POINTER(c_int),)),
    "GraphInstantiateWithFlags": Call((_OUT, c_void_p, c_ulonglong)),
    "GraphUpload": Call((c_void_p, c_void_p), optional=True),
    "GraphLaunch": Call((c_void_p, c_void_p)),
    "DeviceCanAccessPeer": Call((POINTER(c_int), c_int, c_int)),
    "DeviceEnablePeerAccess": Call((c_int, c_uint)),
    "DeviceGetName": Call((c_char_p, c_int, c_int), cuda="cuDeviceGetName", in_driver=True),
    "ModuleLoadData": Call((_OUT, c_void_p), cuda="cuModuleLoadData", in_driver=True),
    "ModuleGetFunction": Call(
        (_OUT, c_void_p, c_char_p), cuda="cuModuleGetFunction", in_driver=True
    ),
    "LaunchKernel": Call(
        (c_void_p, *[c_uint] * 7, c_void_p, _OUT, _OUT),
        hip="hipModuleLaunchKernel",
        cuda="cuLaunchKernel",
        in_driver=True,
    ),
    # Only on one side; the architecture's name is asked for differently.
    "Init": Call((c_uint,), hip="hipInit", cuda="cuInit", in_driver=True),
    "DeviceProperties": Call(
        (c_void_p, c_int), hip="hipGetDevicePropertiesR0600", cuda="-", optional=True
    ),
    "DevicePropertiesBefore6": Call(
        (c_void_p, c_int), hip="hipGetDeviceProperties", cuda="-", optional=True
    ),
    "DeviceGetAttribute": Call((POINTER(c_int), c_int, c_int), hip="-", optional=True),
}


def error_name(status: int) -> str:
    """`status` with its name, for people."""
    return f"{status} ({ERROR_NAME.get(status, 'see the runtime headers')})"


class Runtime:
    """The calls of one loaded backend.

    `status(NAME, ...)` returns a call's status; `check` raises ProbeError RUNTIME_CALL_FAILED for
    any but success; `create` also returns the handle that the call's first argument receives.
    `guarded`: the calls are those that a linked caller gets, through the capture guard.
    """

    def __init__(self, libraries: Libraries, guarded: bool = False) -> None:
        self.libraries = libraries
        self.guarded = guarded
        self.hip = libraries.backend == "hip"
        runtime, driver = ctypes.CDLL(libraries.runtime), ctypes.CDLL(libraries.driver)
        self._functions: dict[str, Callable[..., int]] = {}
        for name, call in CALLS.items():
            symbol = call.hip if self.hip else call.cuda
            symbol = symbol or ("hip" if self.hip else "cuda") + name
            function = as_linked(symbol) if guarded else None
            function = function or getattr(driver if call.in_driver else runtime, symbol, None)
            if function is not None:
                function.argtypes, function.restype = call.arguments, c_int
                self._functions[name] = function
            elif symbol != "-" and not call.optional and name != "Init":
                raise ProbeError(
                    ExitCode.NO_RUNTIME_OR_DEVICE,
                    f"{libraries.runtime} has no {symbol}: it is too old, or no "
                    f"{libraries.backend} runtime at all.",
                )

    def function(self, name: str) -> Callable[..., int]:
        """The call itself, for launches that must not pay for a lookup."""
        return self._functions[name]

    def has(self, name: str) -> bool:
        return name in self._functions

    def status(self, name: str, *arguments: object) -> int:
        return self._functions[name](*arguments)

    def check(self, name: str, *arguments: object) -> None:
        status = self._functions[name](*arguments)
        if status != SUCCESS:
            prefix = "hip" if self.hip else "cuda"
            raise ProbeError(
                ExitCode.RUNTIME_CALL_FAILED,
                f"{prefix}{name} returned {error_name(status)} outside of any capture.",
            )

    def create(self, name: str, *arguments: object) -> int:
        handle = c_void_p()
        self.check(name, byref(handle), *arguments)
        return handle.value or 0

    def set_thread_mode(self, mode: int) -> None:
        """Sets the calling OS thread's capture mode; each thread has one of its own."""
        self.check("ThreadExchangeStreamCaptureMode", byref(c_int(mode)))

    def capture_status(self, stream: int) -> int:
        """0 none, 1 active, 2 invalidated; -1 where the runtime does not say."""
        status = c_int(-1)
        returned = self.status("StreamIsCapturing", stream, byref(status))
        return status.value if returned == SUCCESS else -1

    def end_capture(self, stream: int) -> tuple[int, int]:
        """The status of EndCapture and the graph, 0 where there is none."""
        graph = c_void_p()
        status = self.status("StreamEndCapture", stream, byref(graph))
        return status, graph.value or 0

    def load_kernels(self, code: ctypes.Array[ctypes.c_char], names: list[str]) -> dict[str, int]:
        """Loads a code object on the current device; returns each kernel's handle by its name."""
        module = self.create("ModuleLoadData", code)
        return {name: self.create("ModuleGetFunction", module, name.encode()) for name in names}


class Launch:
    """One kernel launch, its arguments made once and kept alive: (state, first, second)."""

    def __init__(
        self,
        runtime: Runtime,
        kernel: int,
        threads: int,
        state: int,
        first: int = 0,
        second: int = 0,
        block: int = 64,
    ) -> None:
        self._launch = runtime.function("LaunchKernel")
        self._kernel = kernel
        # At least one block: a rank without a share of the heads still launches what its peers do.
        self._blocks = max(1, (threads + block - 1) // block)
        self._block = block
        self._values = (c_void_p(state), c_int(first), c_int(second))
        addresses = [ctypes.cast(byref(value), c_void_p) for value in self._values]
        self._arguments = (c_void_p * 3)(*addresses)

    def on(self, stream: int | None) -> int:
        """Launches on `stream`; returns the status."""
        return self._launch(
            self._kernel, self._blocks, 1, 1, self._block, 1, 1, 0, stream, self._arguments, None
        )
