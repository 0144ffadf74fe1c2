"""SGLang: what is built for it, how it is started, what its log says, which all-reduce it takes.

Log lines as SGLang 0.5.17 writes them (tests/data/serve_logs); 0.5.21's source has the same texts.
"""

from __future__ import annotations

import re

from image_servers.server import AllReduceVariable, LogLines, Server

_TIME = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?"


def _command(model: str, gpus: int, port: int, host: str) -> list[str]:
    return [
        *("-m", "sglang.launch_server", "--model-path", model),
        *("--tp", str(gpus), "--host", host, "--port", str(port)),
    ]


def _probe_arguments(backend: str, gpus: int, graphs: bool, limited: bool) -> list[str]:
    return [
        # For a model that no tuned kernel knows; prompts repeat, and a cached prefix would make a
        # repeated prompt another computation.
        *("--attention-backend", "triton", "--sampling-backend", "pytorch"),
        *("--random-seed", "42", "--disable-radix-cache"),
        *(("--max-total-tokens", "131072") if limited else ()),
        # On CUDA the all-reduce is named at this level only.
        *(("--log-level", "debug") if backend == "cuda" and gpus > 1 else ()),
        *(() if graphs else ("--disable-cuda-graph",)),
    ]


_LOG = LogLines(
    ready="The server is fired up and ready to roll!",
    graceful="Gracefully exiting...",
    rank=re.compile(_TIME + r"(?: [A-Z]+\d+)*? TP(\d{1,6})(?: [A-Z]+\d+)*\]"),
    capture_begin=re.compile(r"Capture target (\w+) CUDA graph begin\.[^\[]*\[([\d, ]*)\]?"),
    capture_end=re.compile(r"Capture target (\w+) CUDA graph end\.(?: elapsed=([\d.]+) s)?"),
    capture_progress=re.compile(r"Capturing (batches \(bs|num tokens \(num_tokens)=(\d{1,9}) "),
    progress_phase={"batches (bs": "decode", "num tokens (num_tokens": "prefill"},
    decoding="Decode batch",
    decode_graph=re.compile(r"Decode batch.{0,400}?cuda graph: (True|False)"),
    all_reduces=(
        ("aiter", "[AR] Using AiterCustomAllreduce"),
        ("nccl", "[AR] All-reduce call path: NCCL"),
        ("sglang-v2", "[AR] Using CustomAllReduceV2"),
        # SGLang's own and AITER's write this one: it only counts where AITER's line is not.
        ("sglang", " cuda graph addresses"),
    ),
    rank_died=re.compile(
        r"(?:Rank (?P<rank>\d{1,6}) scheduler died during initialization"
        r"|Subprocess scheduler_(?P<child>\d{1,6}) \(pid=\d+\) crashed)"
        r".{0,40}exit code:? (?P<status>-?\d{1,6})"
    ),
    rank_failed="Scheduler hit an exception",
    gives_up="kill_process_tree called",
)

SGLANG = Server(
    name="sglang",
    title="SGLang",
    package="sglang",
    launcher="sglang.launch_server",
    distributions={
        "sglang": "sglang",
        "aiter": "amd-aiter",
        "fast-hadamard-transform": "fast-hadamard-transform",
    },
    # The kernels' distribution was renamed.
    also_built=(("sglang-kernel", "sgl-kernel"),),
    kernels={
        "AITER": ("aiter", "aiter_meta"),
        "sgl-kernel": ("sgl_kernel",),
        "fast-hadamard-transform": ("fast_hadamard_transform_cuda",),
    },
    prebuilt="AITER",
    wheel_stages=("aiter", "sgl-kernel", "fast-hadamard-transform"),
    # Source: sglang/srt/distributed/device_communicators/custom_all_reduce.py. The default is that
    # of every release that reads the variable, up to 0.5.23.
    all_reduce=AllReduceVariable(
        name="SGLANG_USE_AITER_AR",
        default="true",
        on="aiter",
        off="sglang",
        titles={"aiter": "AITER", "sglang": "SGLang"},
        dispatch="dispatch_custom_allreduce",
        since="0.5.5.post3",
    ),
    toolchains=("rustup",),
    has_extra=True,
    port=30000,
    command=_command,
    probe_arguments=_probe_arguments,
    decode_only=("--cuda-graph-backend-prefill", "disabled"),
    model_module="sglang.srt.model_executor.model_runner",
    groups_module="sglang.srt.distributed.parallel_state",
    log=_LOG,
)
