"""What a measurement needs: a HIP library by path, the compiled kernel, threads, device objects."""

from __future__ import annotations

import ctypes
import queue
import threading
from collections.abc import Callable
from ctypes import byref, c_char_p, c_int, c_size_t, c_void_p
from pathlib import Path
from typing import Any

from argument_types import TYPES

MODES = {"GLOBAL": 0, "THREAD_LOCAL": 1, "RELAXED": 2}
RELAXED = MODES["RELAXED"]
SAME_THREAD = {"same": None, "same, RELAXED": RELAXED}
STREAM_FLAGS = {"non-blocking": 1, "blocking": 0}
KERNELS = Path(__file__).resolve().with_name("kernels.cpp")
HANDOVER_LIMIT_S = 20.0
SIZE = 4096


class RuntimeFailure(Exception):
    """A call that prepares a measurement failed, so there is nothing to measure."""


class MissingCall(RuntimeFailure):
    """The library does not have a call at all; the message names it."""


class Hip:
    """A HIP library by path; every hip* call by its name, returning its hipError_t."""

    def __init__(self, path: str) -> None:
        self._library = ctypes.CDLL(path)

    def function(self, name: str) -> Any:
        """The library's function of that hip* name."""
        return getattr(self._library, name)

    def call(self, name: str, *arguments: object) -> int:
        try:
            function = self.function(name)
        except AttributeError:
            raise MissingCall(f"the library has no {name}") from None
        if function.argtypes is None:
            function.argtypes = TYPES.get(name, [c_void_p] * len(arguments))
        return int(function(*arguments))

    def must(self, name: str, *arguments: object) -> None:
        code = self.call(name, *arguments)
        if code != 0:
            raise RuntimeFailure(f"{name} returned {code} while a measurement was prepared")

    def make(self, name: str, *arguments: object) -> int:
        """Calls a creator whose first argument is where the handle goes; returns the handle."""
        handle = c_void_p()
        self.must(name, byref(handle), *arguments)
        return handle.value or 0


def compile_kernel(hiprtc_path: str, gfx: str) -> bytes:
    """Compiles the kernel of the measurements for an architecture, such as gfx942.

    hiprtc knows of no device to ask. Raises RuntimeFailure with the compiler's log.
    """
    library = ctypes.CDLL(hiprtc_path)
    program, size = c_void_p(), c_size_t()
    options = (c_char_p * 1)(f"--offload-arch={gfx}".encode())
    library.hiprtcCreateProgram(byref(program), KERNELS.read_bytes(), b"bump", 0, None, None)
    code = library.hiprtcCompileProgram(program, 1, options)
    library.hiprtcGetProgramLogSize(program, byref(size))
    log = ctypes.create_string_buffer(size.value)
    library.hiprtcGetProgramLog(program, log)
    if code != 0:
        raise RuntimeFailure(f"hiprtcCompileProgram returned {code}: {log.value.decode()}")
    library.hiprtcGetCodeSize(program, byref(size))
    image = ctypes.create_string_buffer(size.value)
    library.hiprtcGetCode(program, image)
    library.hiprtcDestroyProgram(byref(program))
    return image.raw


class Caller:
    """A thread in a capture mode, on a device, that makes one call at a time when asked."""

    def __init__(self, hip: Hip, device: int, mode: int) -> None:
        self._asked: queue.Queue[Callable[[], int]] = queue.Queue()
        self._answers: queue.Queue[int | Exception] = queue.Queue()
        threading.Thread(target=self._run, daemon=True).start()

        def settle() -> int:
            hip.must("hipSetDevice", device)
            hip.must("hipThreadExchangeStreamCaptureMode", byref(c_int(mode)))
            return 0

        self.ask(settle)

    def _run(self) -> None:
        while True:
            action = self._asked.get()
            try:
                self._answers.put(action())
            except RuntimeFailure as failure:
                self._answers.put(failure)

    def ask(self, action: Callable[[], int]) -> int:
        self._asked.put(action)
        try:
            answer = self._answers.get(timeout=HANDOVER_LIMIT_S)
        except queue.Empty:
            raise RuntimeFailure(f"a call did not return within {HANDOVER_LIMIT_S:g} s") from None
        if isinstance(answer, Exception):
            raise answer
        return answer


class Bench:
    """What the measurements of one process share: device objects made before any capture."""

    def __init__(self, hip: Hip, code: bytes) -> None:
        self.hip = hip
        self.image = ctypes.create_string_buffer(code, len(code))
        self.module = hip.make("hipModuleLoadData", self.image)
        self.bump_function = hip.make("hipModuleGetFunction", self.module, b"bump")
        self.buffers = [hip.make("hipMalloc", SIZE) for _ in range(2)]
        self.counter = hip.make("hipMalloc", SIZE)
        self.host = ctypes.create_string_buffer(SIZE)
        self.other_nonblocking = hip.make("hipStreamCreateWithFlags", 1)
        self.other_blocking = hip.make("hipStreamCreateWithFlags", 0)
        hip.must("hipStreamBeginCapture", self.other_nonblocking, RELAXED)
        self.bump(self.other_nonblocking)
        graph = c_void_p()
        hip.must("hipStreamEndCapture", self.other_nonblocking, byref(graph))
        self.graph = graph.value
        self.executable = hip.make("hipGraphInstantiateWithFlags", self.graph, 0)
        self._callers: dict[tuple[int, int], Caller] = {}
        self._far: tuple[int, int, int] | None = None

    def bump(self, stream: int | None) -> int:
        pointer, by = c_void_p(self.counter), c_int(1)
        arguments = (c_void_p * 2)(ctypes.addressof(pointer), ctypes.addressof(by))
        return self.hip.call(
            "hipModuleLaunchKernel", self.bump_function, *[1] * 6, 0, stream, arguments, None
        )

    def caller(self, device: int, mode: int) -> Caller:
        key = (device, mode)
        if key not in self._callers:
            self._callers[key] = Caller(self.hip, device, mode)
        return self._callers[key]

    def far(self) -> tuple[int, int, int]:
        """A stream of device 1, an event recorded and done on it, and memory there."""
        if self._far is None:
            hip = self.hip
            hip.must("hipSetDevice", 1)
            stream = hip.make("hipStreamCreateWithFlags", 1)
            event = hip.make("hipEventCreateWithFlags", 2)
            memory = hip.make("hipMalloc", SIZE)
            hip.must("hipEventRecord", event, stream)
            hip.must("hipStreamSynchronize", stream)
            hip.must("hipSetDevice", 0)
            self._far = (stream, event, memory)
        return self._far
