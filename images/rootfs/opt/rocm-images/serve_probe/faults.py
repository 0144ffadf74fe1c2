"""What the GPU's runtime, torch's watchdog and the server's own say when they end a process.

Texts: ROCm/rocm-systems, rocr-runtime's runtime.cpp; ROCm/clr, rocvirtual.cpp and rocdevice.cpp.
"""

from __future__ import annotations

import re
from dataclasses import replace

from serve_probe import causes
from serve_probe.causes import Cause
from serve_probe.verdict import State

_NOT_BY_ITS_TEXT = re.compile(r"(?!)")
GPU_HANG = Cause(
    "gpu-hang",
    re.compile(r"HW Exception by GPU node-\d{1,4}.{0,120}?reason ?: ?\w"),
    State.ABORTED_DECODING,
    "The driver gave a GPU up as hung (HW Exception, GPU hang)",
    "Look in `dmesg` for the reset and for ring timeouts, check firmware and driver, and see "
    "whether it is always the same GPU.",
)
MEMORY_FAULT = Cause(
    "memory-fault",
    re.compile(r"Memory access fault by GPU node-\d{1,4}"),
    State.ABORTED_DECODING,
    "A kernel touched memory that is not mapped (memory access fault)",
    "Try again with {own_all_reduce}, then with {eager}, to see which of them it needs.",
)
QUEUE_OUT_OF_RESOURCES = Cause(
    "queue-out-of-resources",
    re.compile(r"HSA_STATUS_ERROR_OUT_OF_RESOURCES"),
    State.OUT_OF_MEMORY,
    "A queue of the GPU was aborted since memory or scratch ran out",
    "Lower {memory}; see first whether another process holds memory (rocm-smi --showmeminfo vram).",
)
GPU_EXCEPTION = Cause(
    "gpu-exception",
    re.compile(
        r"HSA_STATUS_ERROR_\w{1,60}(?:.{0,300}?(?:[cC]ode: ?)?(?P<code>0x[0-9a-fA-F]{1,8})\b)?"
    ),
    State.ABORTED_DECODING,
    "The GPU raised an exception",
    "Try again with {own_all_reduce}, then with {eager}, to see which of them it needs.",
)
ECC_ERROR = replace(
    causes.named("ecc-error"),
    pattern=re.compile(
        r"HW Exception by GPU node-\d{1,4}.{0,120}?reason ?: ?ECC"
        r"|Memory access fault by GPU.{0,300}?[DS]RAM ECC failure"
    ),
)
RUNTIME = (ECC_ERROR, GPU_HANG, MEMORY_FAULT, QUEUE_OUT_OF_RESOURCES, GPU_EXCEPTION)
OWN_WATCHDOG = Cause(
    "server-watchdog",
    _NOT_BY_ITS_TEXT,
    State.HUNG,
    "The server hung",
    "Its own watchdog ended it. Look at the stacks above that line (py-spy): ranks that wait for "
    "one another show different collectives; where a kernel was being compiled, give it longer "
    "({watchdog}).",
)
WARM_UP_UNANSWERED = Cause(
    "warm-up-unanswered",
    _NOT_BY_ITS_TEXT,
    State.HUNG,
    "The server hung: its own warm-up request had no answer in time",
    "Look at each rank with `py-spy dump`; where a kernel was being compiled, start it again, or "
    "give it longer.",
)
WATCHDOG_IN_CAPTURE = Cause(
    "watchdog-in-capture",
    _NOT_BY_ITS_TEXT,
    State.CAPTURE_INVALIDATED,
    "A graph capture was invalidated by the collective library's watchdog thread",
    causes.BROKEN_CAPTURE.advice,
    causes.BROKEN_CAPTURE.advisories,
)
