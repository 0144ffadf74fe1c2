"""The words by which a cause is searched for: those of each alternative of the judge's patterns.

Most come from the patterns themselves. LINES has those that a pattern only describes, and longer
ones that people search for: HIP's from ROCm/clr, hipamd/src/hip_error.cpp; the others from torch,
Triton, AITER, NCCL, Hugging Face's hub, uvicorn, Python, UCX and absl.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pattern_words import alternatives, literal

LINES: dict[str, tuple[str, ...]] = {
    "aborted": ("Fatal Python error: Aborted", "*** SIGABRT received"),
    "address-in-use": (
        "[Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): "
        "address already in use",
        "Port 30000 is already in use",
        "port 30000 in use",
        "port 30000 unavailable",
    ),
    "capture-invalidated": ("HIP error: operation failed due to a previous error during capture",),
    "capture-unjoined": ("HIP error: capturing stream has unjoined work",),
    "capture-unsupported": ("HIP error: operation not permitted when stream is capturing",),
    "captured-event": ("operation not permitted on an event last recorded in a capturing stream",),
    "collective-timeout": (
        "Watchdog caught collective operation timeout: WorkNCCL(",
        "ProcessGroupNCCL's watchdog got stuck for 480 seconds without making progress",
        "Timed out waiting 1800000ms for recv operation to complete",
        "Timed out waiting 1800000ms for send operation to complete",
    ),
    "compile-failed": (
        "Error compiling objects for extension",
        "Error building extension",
        "hipcc' failed with exit code 1",
        "bin/hipcc' returned non-zero exit status 1",
        "nvcc' failed with exit code 1",
        "bin/nvcc' returned non-zero exit status 1",
        "Ninja build failed",
        "ninja: build stopped: subcommand failed",
    ),
    "compiling": ("waiting for baton release",),
    "device-assertion": ("HIP error: device-side assert triggered",),
    "disk-full": ("OSError: [Errno 28] No space left on device",),
    "ecc-error": (
        "hipErrorECCNotCorrectable",
        "cudaErrorECCUncorrectable",
        "HIP error: uncorrectable ECC error encountered",
        "Memory access fault by GPU node-2 (Agent handle: 0x55) on address 0x7f00. "
        "Reason: SRAM ECC failure.",
        "Memory access fault by GPU node-2 (Agent handle: 0x55) on address 0x7f00. "
        "Reason: DRAM ECC failure.",
    ),
    "gpu-error": (
        "hipErrorLaunchFailure",
        "hipErrorUnknown",
        "HIP error: unspecified launch failure",
        "HIP error: invalid argument",
        "HIP runtime error",
        "hipLaunchKernel failed: invalid argument",
        "hipMemcpy failed with",
        "failed with error code invalid configuration argument",
        "failed with error code unspecified launch failure",
        "failed with error code too many resources requested for launch",
        "kernel launch failed",
        "HIPBLAS_STATUS_INTERNAL_ERROR",
        "HIPBLASLT_STATUS_INTERNAL_ERROR",
        "CUBLAS_STATUS_EXECUTION_FAILED",
    ),
    "gpu-hang": ("HW Exception by GPU node-1 (Agent handle: 0x2ac1f1f0) reason :GPU Hang",),
    "hung": ("No available shared memory broadcast block found in 60 seconds",),
    "http-server-does-not-start": (
        "[Errno 13] error while attempting to bind on address ('0.0.0.0', 80): permission denied",
        "[Errno -2] Name or service not known",
        "ERROR:    Application startup failed. Exiting.",
    ),
    "illegal-address": ("HIP error: an illegal memory access was encountered",),
    "killed": ("Killed", "crashed with exit code -9"),
    "no-gpu": (
        "HIP error: no ROCm-capable device is detected",
        "HIP error: invalid device ordinal",
        "No HIP GPUs are available",
        "hipErrorNoDevice",
        "hipErrorInvalidDevice",
    ),
    "no-kernel-for-this-gpu": (
        "HIP error: no kernel image is available for execution on the device",
        "hipErrorInvalidDeviceFunction",
        "hipErrorNoBinaryForGpu",
        "cudaErrorNoKernelImageForDevice",
    ),
    "out-of-memory": (
        "HIP out of memory. Tried to allocate",
        "CUDA out of memory. Tried to allocate",
        "hipMalloc failed: out of memory",
        "HIP error: out of memory",
        "HIPBLAS_STATUS_ALLOC_FAILED",
        "HIPBLASLT_STATUS_ALLOC_FAILED",
        "CUBLAS_STATUS_ALLOC_FAILED",
    ),
    "peer-has-no-graphs": ("Failed: Cuda error csrc/custom_all_reduce.cuh:455 'invalid argument'",),
    "peer-lost": (
        "Failed to recv, got 0 bytes. Connection was likely closed.",
        "Connection closed by remote peer",
        "Connection reset by peer",
        "BrokenPipeError: [Errno 32] Broken pipe",
        "recvValue failed on SocketImpl(",
        "remote process exited or there was a network error",
    ),
    "ranks-do-not-join": (
        "The client socket has timed out after",
        "wait timeout after 600000ms",
    ),
    "server-watchdog": ("Watchdog timeout (self.watchdog_timeout=",),
    "shared-memory-of-a-kernel": ("OutOfResources: out of resource: shared memory, Required:",),
    "sigbus": (
        "Fatal Python error: Bus error",
        "*** SIGBUS received",
        "Caught signal 7 (Bus error",
    ),
    "sigfpe": (
        "Fatal Python error: Floating-point exception",
        "*** SIGFPE received",
        "Caught signal 8 (Floating point exception",
    ),
    "sigill": (
        "Fatal Python error: Illegal instruction",
        "*** SIGILL received",
        "Caught signal 4 (Illegal instruction",
    ),
    "sigsegv": (
        "Fatal Python error: Segmentation fault",
        "Segfault encountered",
        "*** SIGSEGV received",
        "Caught signal 11 (Segmentation fault",
    ),
    "sigsys": ("crashed with exit code -31",),
    "sigtrap": ("*** SIGTRAP received",),
    "told-to-end": ("KeyboardInterrupt: terminated", "*** SIGTERM received"),
    "vanished": ("Failed core proc(s): {}",),
    "warm-up-unanswered": ("Read timed out. (read timeout=",),
    "watchdog-in-capture": (
        "watchdog thread terminated with exception: HIP error: operation not permitted when stream "
        "is capturing",
    ),
}

_BEFORE = {"]:": "Triton Error [HIP"}
"""What stands before words that alone say nothing."""


def twin(line: str) -> str:
    """The same words of the other runtime."""
    return line.replace("HIP", "CUDA").replace("hip", "cuda")


def words_of(name: str, patterns: Sequence[str], shown: str) -> list[str]:
    """What to show of a cause, so that each alternative is found in it or in what is shown.

    Raises LookupError where a pattern describes words, and LINES has none that fit.
    """
    own = LINES.get(name, ())
    found = list(own)
    for alternative in _alternatives(patterns):
        if any(_in(alternative, line) for line in (shown, *found)):
            continue
        plain = literal(alternative) or ""
        possible = [*map(twin, own), _BEFORE.get(plain.partition(" ")[0], "") + plain]
        fits = next((line for line in possible if _in(alternative, line)), None)
        if fits is None:
            raise LookupError(
                f"docs/crash_words.py: no line of {name} has what {alternative!r} describes: add "
                "one to LINES."
            )
        found.append(fits)
    return sorted(found, key=lambda line: "cuda" in line.lower())


def phrases_of(name: str, patterns: Sequence[str], shown: str) -> list[str]:
    """The same for an index, with what of `shown` decides.

    Of two that differ in HIP and CUDA the first.
    """
    words = words_of(name, patterns, shown)
    for alternative in _alternatives(patterns):
        found = _in(rf"{alternative}\w*", shown)
        if found and not any(_in(alternative, word) for word in words):
            words.append(found[0])
    twins = {twin(word) for word in words if twin(word) != word}
    return [word for word in words if word not in twins]


def _in(alternative: str, line: str) -> re.Match[str] | None:
    return re.search(alternative, line, re.IGNORECASE)


def _alternatives(patterns: Sequence[str]) -> Iterator[str]:
    return (one for pattern in patterns for one in alternatives(pattern))
