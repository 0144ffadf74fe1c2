"""vLLM's log, for `graph-probe judge`: no image of vLLM is built yet.

Its lines as public reports of vLLM 0.6 to 0.19 quote them, and as vllm/v1 writes them
(engine/core.py, executor/multiproc_executor.py, worker/gpu_model_runner.py).
"""

from __future__ import annotations

import re

from image_servers.server import Advice, LogLines

_PROCESS = r"\((?:EngineCore|Worker|VllmWorker|APIServer|ApiServer)[\w =]{0,60}pid=\d{1,10}\) ?"
_LEVEL = (
    r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) \d\d-\d\d \d\d:\d\d:\d\d (?:\[[^\]]{1,80}\]|\S{1,80}\])"
)

VLLM_LOG = LogLines(
    title="vLLM",
    signature=re.compile(rf"^(?:{_PROCESS}|{_LEVEL})|\bvllm[./]|VllmWorker|EngineCore"),
    prefix=re.compile(rf"(?:{_PROCESS}){{1,3}}(?:{_LEVEL} ?)?|{_LEVEL} ?"),
    rank=re.compile(r"(?:_TP|rank=|EngineCore_(?:DP)?)(\d{1,6})\b"),
    ready="Application startup complete",
    graceful="Application shutdown complete",
    starts=re.compile(r"Initializing an? (?:V1 )?LLM engine|Starting to load model"),
    loading=re.compile(
        r"Starting to load model|Loading (?:safetensors checkpoint|weights)|Model loading took"
        r"|(?:Available|GPU) KV cache"
    ),
    warming_up=re.compile(r"init engine \(profile|Graph capturing finished"),
    stopping=re.compile(r"^(?:INFO: +)?Shutting down|Waiting for application shutdown"),
    capture_begin=re.compile(r"Capturing (?:CUDA graphs \(|a cudagraph on \()([\w -]{1,40}),?()"),
    capture_end=re.compile(r"Graph capturing finished()(?: in (\d{1,6}) secs?)?"),
    capture_phases={"mixed prefill-decode": "prefill", "PIECEWISE": "prefill", "FULL": "decode"},
    capture_progress=re.compile(r"Capturing a (cudagraph) on .{0,40}?num_tokens=(\d{1,9})\b"),
    progress_phase={"cudagraph": "decode"},
    decoding="Avg generation throughput",
    failed=re.compile(
        r"(WorkerProc|EngineCore)(?:_?\w{0,20}) "
        r"(?:hit an exception|encountered a fatal error|failed to start)"
    ),
    processes={"": "worker", "WorkerProc": "worker", "EngineCore": "engine core"},
    died=re.compile(
        r"(?:Worker proc (?:VllmWorker-(?P<child>\d{1,6})|(?P<process>\w{1,60}))"
        r"|RayWorkerProc rank=\[?(?P<rank>\d{1,6})\]?) died unexpectedly(?P<status>(?!))?"
    ),
    unhealthy=re.compile(r"No available shared memory broadcast block found in \d+ ?s"),
    summary=re.compile(
        r"Engine (?:core initialization|process) failed|EngineDeadError"
        r"|WorkerProc initialization failed|^RuntimeError: cancelled|died unexpectedly"
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
)
