"""Makes tests/data/serve_logs_made_up: what logs of a ROCm machine may look like. None was seen.

Each is a raw log of an NVIDIA machine with the names that HIP, RCCL and AITER use in their sources,
or with the lines that sgl-project/sglang#23580, #24011 and pytorch#177309 quote. The judge must not
depend on CUDA's names; what ROCm really writes is not known until an AMD GPU has run it.
"""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
RAW, MADE_UP = HERE / "serve_logs", HERE / "serve_logs_made_up"
MARK = "*** MADE UP: an NVIDIA log with the names of HIP; no AMD GPU has written this ***\n"

NAMES = (
    ("cudaErrorStreamCapture", "hipErrorStreamCapture"),
    ("CUDA error", "HIP error"),
    ("CUDA_LAUNCH_BLOCKING", "AMD_SERIALIZE_KERNEL"),
    ("CUDA kernel errors", "HIP kernel errors"),
    ("CUDA out of memory", "HIP out of memory"),
    ("cublas", "hipblas"),
    ("CUBLAS", "HIPBLAS"),
)
AR = "[2026-11-23 20:51:27 TP{rank}] [AR] Using AiterCustomAllreduce (AMD default)\n"
WATCHDOG = (
    "[rank1]:[E1123 20:51:30.101 ProcessGroupNCCL.cpp:2068] [PG ID 2 PG GUID 3 Rank 1] Process "
    "group watchdog thread terminated with exception: HIP error: operation not permitted on an "
    "event last recorded in a capturing stream\n"
    "Search for `hipErrorCapturedEvent' in the documentation of HIP for more information.\n"
    "terminate called after throwing an instance of 'c10::DistBackendError'\n"
    "Fatal Python error: Aborted\n\n"
)
DIED = (
    "RuntimeError: Rank 1 scheduler died during initialization (exit code: -6). If exit code is "
    "-9 (SIGKILL), a common cause is the OS OOM killer. Run `dmesg -T | grep -i oom` to check.\n"
)
HSA = (
    ":0:rocdevice.cpp            :3020: 123456789 us:  Callback: Queue 0x7f00 aborting with error "
    ": HSA_STATUS_ERROR_EXCEPTION: An HSAIL operation resulted in a hardware exception. code: "
    "0x1016\n"
)
FAULT = (
    "Memory access fault by GPU node-2 (Agent handle: 0x55) on address 0x7f3400000000. Reason: "
    "Unknown.\n"
)


def read(name: str) -> str:
    return (RAW / f"{name}.log").read_bytes().decode()


def hip(text: str) -> str:
    for old, new in NAMES:
        text = text.replace(old, new)
    return text


def made() -> dict[str, str]:
    """Every made-up log by its name."""
    rank_1 = hip(read("fail_tp2_rank1_query"))
    began = rank_1[: rank_1.index("[2026-11-23 20:51:30 TP1] Scheduler hit an exception")]
    named = began.replace(
        "[2026-11-23 20:51:28 TP0] Load weight begin",
        AR.format(rank=0) + AR.format(rank=1) + "[2026-11-23 20:51:28 TP0] Load weight begin",
        1,
    )
    decoding = hip(read("fail_abort_running"))
    ready = hip(read("tp2_graph_rand"))
    with_aiter = ready.replace("[2026-11-23 20:40:52 TP0]", AR.format(rank=0) + "[2026", 1)
    return {
        "rocm_invalidated_decode": hip(read("fail_query_decode")),
        "rocm_invalidated_prefill": hip(read("fail_query_default")),
        "rocm_invalidated_rank1": rank_1,
        "rocm_watchdog_captured_event": named + WATCHDOG + DIED,
        "rocm_out_of_memory": hip(read("fail_oom")),
        "rocm_abort_capture": hip(read("fail_abort_capture")),
        "rocm_exception_0x1016": decoding.replace(
            "Fatal Python error: Aborted", HSA + "Fatal Python error: Aborted", 1
        ),
        "rocm_memory_fault": decoding.replace(
            "Fatal Python error: Aborted", FAULT + "Fatal Python error: Aborted", 1
        ),
        "rocm_ready_aiter": with_aiter,
        "rocm_ready_sglang": hip(read("tp2_v1ar_rand")),
    }


def main() -> None:
    """Write them."""
    MADE_UP.mkdir(exist_ok=True)
    for name, text in made().items():
        (MADE_UP / f"{name}.log").write_bytes((MARK + text).encode())


if __name__ == "__main__":
    main()
