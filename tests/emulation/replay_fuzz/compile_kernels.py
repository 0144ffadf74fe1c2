"""Compiles a kernel source for a GPU with the runtime's own hiprtc, into one code object."""

import ctypes
import sys
from ctypes import byref, c_char_p, c_size_t, c_void_p, create_string_buffer
from pathlib import Path


def compile_kernels(hiprtc: str, source: Path, gfx: str) -> bytes:
    """Compile `source` for the GPU `gfx` and return the code object.

    Raises ValueError with the compiler's log.
    """
    rtc = ctypes.CDLL(hiprtc)
    program, size = c_void_p(), c_size_t()
    name = source.name.encode()
    rtc.hiprtcCreateProgram(byref(program), source.read_bytes(), name, 0, None, None)
    option = (c_char_p * 1)(f"--offload-arch={gfx}".encode())
    if status := rtc.hiprtcCompileProgram(program, 1, option):
        rtc.hiprtcGetProgramLogSize(program, byref(size))
        log = create_string_buffer(size.value)
        rtc.hiprtcGetProgramLog(program, log)
        raise ValueError(f"hiprtc: error {status} for {gfx}: {log.value.decode(errors='replace')}")
    rtc.hiprtcGetCodeSize(program, byref(size))
    code = create_string_buffer(size.value)
    rtc.hiprtcGetCode(program, code)
    return code.raw[: size.value]


def image_for(build: Path, hiprtc: str, gfx: str) -> Path:
    """Compile this folder's kernels into `build`, unless that was done since they changed.

    Raises ValueError with the compiler's log, OSError where hiprtc does not load.
    """
    source, image = Path(__file__).with_name("kernels.cpp"), build / f"fuzz.{gfx}.hsaco"
    if not image.exists() or image.stat().st_mtime < source.stat().st_mtime:
        image.write_bytes(compile_kernels(hiprtc, source, gfx))
    return image


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit("usage: compile_kernels.py LIBHIPRTC SOURCE GFX OUTPUT")
    Path(sys.argv[4]).write_bytes(compile_kernels(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
