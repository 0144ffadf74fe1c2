"""Compiles the kernel source at run time, with hiprtc or nvrtc, for one GPU architecture."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_void_p
from pathlib import Path
from typing import Any

from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.library import Libraries

SOURCE = Path(__file__).with_name("kernels.cpp")
_LOG_LINES = 12


def compile_kernels(libraries: Libraries, target: str, source: str | None = None) -> bytes:
    """The code object of kernels.cpp (or `source`) for `target`, as the runtime loads it.

    Raises ProbeError COMPILE_FAILED with the first lines of the compiler's log.
    """
    text = SOURCE.read_text() if source is None else source
    compiler = _Compiler(libraries)
    option = ("--offload-arch=" if compiler.hip else "--gpu-architecture=") + target
    program = c_void_p()
    made = compiler.call(
        "CreateProgram", byref(program), text.encode(), SOURCE.name.encode(), 0, None, None
    )
    if made != 0:
        raise ProbeError(
            ExitCode.COMPILE_FAILED,
            f"{libraries.compiler} did not take the kernel source: error {made}.",
        )
    options = (c_char_p * 1)(option.encode())
    status = compiler.call("CompileProgram", program, 1, options)
    if status != 0:
        log = compiler.bytes_of(program, "GetProgramLogSize", "GetProgramLog").rstrip(b"\0")
        lines = log.decode(errors="replace").splitlines()[:_LOG_LINES]
        raise ProbeError(
            ExitCode.COMPILE_FAILED,
            f"{libraries.compiler} did not compile the kernels for {target} (error {status}). "
            + "It said: "
            + ("\n".join(lines) or "nothing"),
        )
    kind = "Code" if compiler.hip else "CUBIN"
    code = compiler.bytes_of(program, f"Get{kind}Size", f"Get{kind}")
    compiler.call("DestroyProgram", byref(program))
    return code


class _Compiler:
    """The few calls that hiprtc and nvrtc share but for their prefix."""

    _ARGUMENTS: dict[str, tuple[Any, ...]] = {  # noqa: RUF012
        "CreateProgram": (
            POINTER(c_void_p), c_char_p, c_char_p, c_int, POINTER(c_char_p), POINTER(c_char_p),
        ),
        "CompileProgram": (c_void_p, c_int, POINTER(c_char_p)),
        "DestroyProgram": (POINTER(c_void_p),),
    }  # fmt: skip

    def __init__(self, libraries: Libraries) -> None:
        self.hip = libraries.backend == "hip"
        self._library = ctypes.CDLL(libraries.compiler)

    def call(self, name: str, *arguments: object) -> int:
        function = getattr(self._library, ("hiprtc" if self.hip else "nvrtc") + name)
        function.restype = c_int
        if name in self._ARGUMENTS:
            function.argtypes = self._ARGUMENTS[name]
        elif name.endswith("Size"):
            function.argtypes = (c_void_p, POINTER(c_size_t))
        else:
            function.argtypes = (c_void_p, c_char_p)
        status: int = function(*arguments)
        return status

    def bytes_of(self, program: c_void_p, size_call: str, call: str) -> bytes:
        size = c_size_t(0)
        self.call(size_call, program, byref(size))
        buffer = ctypes.create_string_buffer(max(1, size.value))
        self.call(call, program, buffer)
        return buffer.raw[: size.value]
