"""Makes the measurements of the matrix again on a real CUDA runtime: does the reference still hold?

    python3 measure_cuda.py [--cudart libcudart.so.13] [--nvrtc libnvrtc.so.13]

Needs two NVIDIA GPUs with peer access. No HIP is involved. Exit codes: 0 every row is as
in the reference; 1 some are not; 2 it cannot be measured.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
from ctypes import byref, c_int, c_size_t, c_void_p
from pathlib import Path
from typing import Any, ClassVar

from capture_cases import KERNELS, Hip, RuntimeFailure
from capture_tables import Unusable, read_matrix
from comparison import compare
from measuring import CALLS, measure_all

MATRIX = Path(__file__).resolve().parents[1] / "data" / "capture-matrix-h100.tsv"


class Cuda(Hip):
    """The CUDA runtime under HIP's names: hipX is cudaX, but for the calls of the driver's API."""

    RENAMED: ClassVar = {"hipHostMalloc": "cudaHostAlloc", "hipHostFree": "cudaFreeHost"}
    DRIVER: ClassVar = {
        "hipModuleLoadData": "cuModuleLoadData",
        "hipModuleGetFunction": "cuModuleGetFunction",
        "hipModuleLaunchKernel": "cuLaunchKernel",
        "hipModuleUnload": "cuModuleUnload",
    }

    def __init__(self, path: str) -> None:
        self._driver = ctypes.CDLL("libcuda.so.1")
        super().__init__(path)
        # The driver's calls need the context that the runtime makes on first use.
        self.must("hipSetDevice", 0)
        self.must("hipDeviceSynchronize")

    def function(self, name: str) -> Any:
        if name in self.DRIVER:
            return getattr(self._driver, self.DRIVER[name])
        return getattr(self._library, self.RENAMED.get(name, "cuda" + name.removeprefix("hip")))


def compile_ptx(path: str) -> bytes:
    """The one kernel of the measurements as PTX; raises RuntimeFailure."""
    nvrtc = ctypes.CDLL(path)
    program, size = c_void_p(), c_size_t()
    nvrtc.nvrtcCreateProgram(byref(program), KERNELS.read_bytes(), b"bump", c_int(0), None, None)
    code = nvrtc.nvrtcCompileProgram(program, c_int(0), None)
    if code != 0:
        raise RuntimeFailure(f"nvrtcCompileProgram returned {code}")
    nvrtc.nvrtcGetPTXSize(program, byref(size))
    image = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetPTX(program, image)
    return image.raw


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cudart", default="libcudart.so.13")
    parser.add_argument("--nvrtc", default="libnvrtc.so.13")
    parser.add_argument("--matrix", type=Path, default=MATRIX)
    options = parser.parse_args(arguments)
    try:
        matrix = read_matrix(options.matrix, CALLS)
        found = measure_all(
            lambda: Cuda(options.cudart), lambda: compile_ptx(options.nvrtc), list(matrix)
        )
    except Unusable as error:
        print(error, file=sys.stderr)
        return 2
    report = compare(matrix, found)
    for line in report.disagreements:
        print(line)
    changed = len(report.disagreements)
    print(f"{len(matrix)} rows: {report.as_expected} as in the reference, {changed} not")
    return 1 if report.disagreements else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
