"""What vLLM's log says, line by line.

From the sources of 0.11 to 0.33, and as public reports of 0.6 to 0.19 quote it. Up to 0.30 each
line of a process has its name before it; since, only those of its logger have.
"""

from __future__ import annotations

import re

from image_servers.log_lines import Advice, LogLines, MoreAdvice, OwnCause

# `EngineCore_DP0`, `Worker_DP0_TP1_EP1`, `VllmWorker rank=1`; Python's own for one without a name.
_PROCESS = (
    r"\((?:EngineCore|Worker|VllmWorker|APIServer|ApiServer|DPCoordinator|DPSupervisor|MainProcess"
    r"|SpawnProcess)[\w =-]{0,60}pid=\d{1,10}\) ?"
)
_LEVEL = (
    r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d (?:\[[^\]]{1,80}\]|\S{1,80}\])"
)


def _backends(first: str) -> re.Pattern[str]:
    """The line of 0.22 and later about the group of tensor parallelism, in the order of trying."""
    before = r"(?:'(?!AITER_CUSTOM'|CUSTOM'|PYNCCL')\w{1,40}', ){0,8}"
    return re.compile(
        rf"Using \[{before}'{first}'[^\]]{{0,300}}\] all-reduce backends.{{0,80}} group 'tp:"
    )


_WITH_LORA = MoreAdvice(
    "With LoRA, vLLM on ROCm captures an all-gather of torch.distributed's, whose events the "
    "watchdog queries (vllm#41622): serve without it, or with {eager}.",
    ("captured-all-gather",),
    re.compile("LoRA|enable_lora=True"),
)

LOG = LogLines(
    title="vLLM",
    signature=re.compile(rf"^(?:{_PROCESS}|{_LEVEL})|\bvllm[./]|VllmWorker|EngineCore"),
    prefix=re.compile(rf"(?:{_PROCESS}){{1,3}}(?:{_LEVEL} ?)?|{_LEVEL} ?"),
    rank=re.compile(r"(?:_TP|rank=)(\d{1,6})(?!\d)"),
    survived=re.compile(r"\b(?:DEBUG|INFO|WARNING) \d\d-\d\d "),
    ready="Application startup complete",
    graceful="Application shutdown complete",
    starts=re.compile(
        r"Initializing an? (?:V1 )?LLM engine|Starting to load model|Loading model from scratch"
    ),
    joining=re.compile(r"distributed_init_method="),
    joined=re.compile(r"rank \d{1,6} in world size \d{1,6} is assigned"),
    loading=re.compile(
        r"Starting to load model|Loading model from scratch"
        r"|Loading (?:safetensors checkpoint|weights)|Model loading took|(?:Available|GPU) KV cache"
    ),
    warming_up=re.compile(r"init engine \(profile|Graph capturing finished"),
    stopping=re.compile(
        r"^(?:INFO: {1,8})?Shutting down|Waiting for application shutdown"
        r"|^\[shutdown\] (?:API server: shutdown triggered|EngineCore: trigger received)"
    ),
    # A progress bar of one rank, and at the level of DEBUG a line for each size on each rank, of
    # the first model runner and of the second.
    capture_begin=re.compile(
        r"(?:Capturing (?:CUDA graphs \(|a cudagraph on \()|CG Capture: mode=)([\w -]{1,40}),?()"
        r"|Capturing CUDA graphs: ()"
    ),
    capture_end=re.compile(r"Graph capturing finished()(?: in (\d{1,6}) secs?)?"),
    capture_phases={
        "mixed prefill-decode": "prefill",
        "mixed": "prefill",
        "PIECEWISE": "prefill",
        "FULL": "decode",
    },
    capture_progress=re.compile(
        r"(?:Capturing a cudagraph on \(|CG Capture: mode=)(\w{1,20}),.{0,160}?"
        r"\bnum_tokens=(\d{1,9})\b"
    ),
    progress_phase={"PIECEWISE": "prefill", "FULL": "decode"},
    each_rank_names_sizes=True,
    capture_count=re.compile(
        r"Capturing CUDA graphs \(([\w -]{1,40})[^)]{0,40}\): {1,4}\d{1,3}%\|[^|]{0,200}\| ?"
        r"\d{1,6}/(\d{1,6}) "
    ),
    # It says so at the level of DEBUG where there was none, too.
    decoding=re.compile(r"Avg generation throughput: (?!0\.0 )"),
    # Of the table of --cudagraph-metrics, what had one token: no prompt of the probe's has.
    decode_graph=re.compile(
        r"^[^|]{0,200}\| 1 {1,40}\| \d{1,6} {1,40}\| \d{1,6} {1,40}\| "
        r"(\w{1,20}) {1,40}\| (\d{1,9}) {1,40}\|"
    ),
    replays=frozenset({"FULL", "PIECEWISE"}),
    # The second model runner has that table since 0.30.
    decodes_untold=re.compile(r"Using V2 Model Runner"),
    all_reduces=(
        ("aiter", _backends("AITER_CUSTOM")),
        ("vllm", _backends("CUSTOM")),
        ("nccl", _backends("PYNCCL")),
        # Up to 0.21; AITER's for all came after.
        ("vllm", re.compile(r"Registering \d{1,9} cuda graph addresses")),
    ),
    failed=re.compile(
        r"(WorkerProc|EngineCore)(?:_?\w{0,20}) "
        r"(?:hit an exception|encountered a fatal error|failed to start)"
    ),
    processes={
        "": "worker",
        "WorkerProc": "worker",
        "EngineCore": "engine core",
    },
    died=re.compile(
        r"(?:(?:Worker|Engine core) proc |MPClient: |RayWorkerProc "
        r"|Failed core proc\(s\): \{[^}]{0,200}?')"
        r"(?:VllmWorker-(?P<child>\d{1,6})|rank=\[?(?P<rank>\d{1,6})\]?"
        r"|(?P<process>EngineCore|engine core|\w{1,60}?)(?:_(?:DP)?\d{1,6})?)"
        r"(?: (?:died|exited) unexpectedly(?: \(exit code: )?|': (?=-|[1-9]))"
        r"(?P<status>-?\d{1,6})?"
    ),
    unhealthy=re.compile(r"No available shared memory broadcast block found in \d{1,9} ?s"),
    vanished=re.compile(
        r"(?:[Ee]ngine core(?: proc \w{1,60})?|Worker proc \S{1,60}) (?:exited|died) unexpectedly"
        r"(?! \(exit code: -?\d)|EngineDeadError: EngineCore encountered an issue"
        r"|Failed core proc\(s\): \{\}"
    ),
    asked_to_end=re.compile(r"\bKeyboardInterrupt: terminated$"),
    summary=re.compile(
        r"Engine (?:core initialization|process) failed|EngineDeadError"
        r"|WorkerProc initialization failed|^RuntimeError: (?:cancelled|Executor failed)"
        r"|died unexpectedly"
    ),
    gives_up=re.compile(r"shutting down executor"),
    advice=Advice(
        memory="--gpu-memory-utilization",
        graph_sizes="--max-cudagraph-capture-size",
        eager="--enforce-eager",
        own_all_reduce="VLLM_ROCM_USE_AITER=0",
        no_custom_all_reduce="--disable-custom-all-reduce",
        port="--port",
        own_ports="VLLM_PORT, MASTER_PORT",
    ),
    causes=(
        OwnCause(
            "peer-has-no-graphs",
            re.compile(
                r"^Failed: \w{1,8} error \S{0,200}custom_all_reduce\.\w{1,4}:\d{1,6} 'invalid a"
            ),
            "unknown",
            "A rank found no buffers of another rank's graphs for the all-reduce",
            "That other rank failed first: look for its own error.",
            consequence=True,
        ),
        OwnCause(
            "share-not-free",
            re.compile(r"less than desired GPU memory utilization"),
            "out-of-memory",
            "Less of the GPU's memory is free than the share that the server would take",
            "Lower {memory}, or end what else holds memory of that GPU.",
        ),
        OwnCause(
            "memory-profile-disturbed",
            re.compile(r"AssertionError: Error in memory profiling"),
            "unknown",
            "Memory of the GPU became free while the server measured how much there is",
            "Another process ended meanwhile: start it again, alone, or give it its cache's bytes "
            "(--kv-cache-memory-bytes), with which it measures nothing.",
        ),
        OwnCause(
            "splitk-workspace",
            re.compile(r"splitk workspace not initialized"),
            "unknown",
            "AITER has no workspace for the stream that vLLM captures on",
            "vLLM before 0.29 captures on another stream than it warms up on (vllm#55452): use a "
            "newer one, lower --max-num-seqs to 64, or serve with {eager}.",
        ),
    ),
    more_advice={"captured-event": _WITH_LORA},
    advisories=frozenset(
        {
            "aiter-ar-end-sync",
            "aiter-cold-replay",
            "quick-reduce-replay",
            "captured-all-gather",
            "mxfp4-replay",
        }
    ),
)
