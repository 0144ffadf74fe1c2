"""What SGLang's log says, line by line.

As SGLang 0.5.17 writes them (tests/data/serve_logs); 0.5.21's source has the same texts.
"""

from __future__ import annotations

import re

from image_servers.log_lines import Advice, LogLines, OwnCause

_TIME = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})?"

# Sources: managers/scheduler.py (the ranks), utils/watchdog.py, entrypoints/engine.py (who died),
# model_runner_components/cuda_graph_setup.py and speculative/ (captures), of 0.4.6 to 0.5.23.
LOG = LogLines(
    title="SGLang",
    signature=re.compile(
        _TIME + r"|sglang[./:]|Scheduler hit an exception|scheduler (?:died|is dead)"
        r"|fired up and ready to roll|kill_process_tree"
    ),
    prefix=re.compile(_TIME + r"(?: [A-Z_]{1,16}\d{1,6}){0,8}\] ?"),
    rank=re.compile(r" TP(\d{1,6})\b"),
    ready="The server is fired up and ready to roll!",
    graceful="Gracefully exiting...",
    starts=re.compile(
        r"^server_args=ServerArgs\(|^Init torch distributed begin|^Load weight begin"
    ),
    joining=re.compile(r"Init torch distributed begin"),
    joined=re.compile(r"Init torch distributed ends"),
    loading=re.compile(
        r"Load weight (?:begin|end(?!.{0,20}Committed))|KV Cache is allocated|Memory pool end"
        r"|Loading safetensors checkpoint|Multi-thread loading"
    ),
    warming_up=re.compile(
        r"(?:Prefill|Decode) batch|INFO: {1,8}Started server process|INFO: {1,8}Application startup"
        r"|Start of \w.{0,40}warmup"
    ),
    stopping=re.compile(r"SIGTERM received|Gracefully exiting"),
    capture_begin=re.compile(
        r"Capture ([\w/ -]{0,40}?) ?\b(?:CUDA|cuda|cpu/cuda|HIP) graph begin\b"
        r"(?:[^\[]{0,400}\[([\d, ]*))?"
    ),
    capture_end=re.compile(
        r"Capture ([\w/ -]{0,40}?) ?\b(?:CUDA|cuda|cpu/cuda|HIP) graph end\b"
        r"(?:.{0,40}?elapsed[=:] ?([\d.]{1,12}) s)?"
    ),
    capture_phases={
        "": "decode",
        "target decode": "decode",
        "target prefill": "prefill",
        "piecewise": "prefill",
        "draft": "draft decode",
    },
    capture_progress=re.compile(
        r"Capturing (batches \(bs|num tokens \(num_tokens|prefill shape \(num_tokens)=(\d{1,9}) "
    ),
    progress_phase={
        "batches (bs": "decode",
        "num tokens (num_tokens": "prefill",
        "prefill shape (num_tokens": "prefill",
    },
    decoding=re.compile("Decode batch"),
    decode_graph=re.compile(r"Decode batch.{0,400}?cuda graph: (True|False)()"),
    all_reduces=(
        ("aiter", re.compile(r"\[AR\] Using AiterCustomAllreduce")),
        ("nccl", re.compile(r"\[AR\] All-reduce call path: NCCL")),
        ("sglang-v2", re.compile(r"\[AR\] Using CustomAllReduceV2")),
        # SGLang's own and AITER's write this one: it only counts where AITER's line is not.
        ("sglang", re.compile(r" cuda graph addresses")),
    ),
    failed=re.compile(r"(\w{1,60}) hit an exception:(?: Traceback| ?$)"),
    processes={
        "": "scheduler",
        "Scheduler": "scheduler",
        "scheduler": "scheduler",
        "TpModelWorkerClient": "scheduler",
        "DetokenizerManager": "detokenizer",
        "MultiDetokenizerRouter": "detokenizer router",
        "TokenizerManager": "tokenizer manager",
        "MultiTokenizerRouter": "tokenizer router",
        "DataParallelController": "data parallel controller",
        "sglang_router": "router",
    },
    died=re.compile(
        r"(?:Rank (?P<rank>\d{1,6}) scheduler (?:died during initialization|is dead)"
        r"|Subprocess (?:scheduler_(?P<child>\d{1,6})|(?P<process>\w{1,60}))"
        r" \(pid=\d{1,10}\) crashed"
        r"|Child process unexpectedly failed"
        r"|Scheduler or DataParallelController \d{1,10} terminated)"
        r"(?:.{0,80}?(?:exit ?code:?[ =]{0,2}| with )(?P<status>-?\d{1,6}))?"
    ),
    watchdog=re.compile(
        r"^(?:(\w{1,60}) w|W)atchdog timeout \(self\.watchdog_timeout=(\d{1,9})(?:\.\d{1,9})?"
        r"(?!.{0,20}self\.soft=True)"
    ),
    warm_up_failed=re.compile(r"warmup error"),
    unhealthy=re.compile(r"Health check failed\. Server couldn't get a response"),
    summary=re.compile(
        r"scheduler died during initialization|^EOFError|Please check if there are relevant logs"
    ),
    gives_up=re.compile(r"kill_process_tree called|SIGQUIT received|[Rr]eceived sigquit from"),
    advice=Advice(
        memory="--mem-fraction-static",
        graph_sizes="--cuda-graph-max-bs",
        eager="--disable-cuda-graph",
        watchdog="--watchdog-timeout",
        own_all_reduce="SGLANG_USE_AITER_AR=0",
        no_custom_all_reduce="--disable-custom-all-reduce",
        port="--port",
        own_ports="--nccl-port, --dist-init-addr",
    ),
    causes=(
        OwnCause(
            "dsa-indexer",
            re.compile(r"compute_all_q_rope"),
            "unknown",
            "SGLang's fused indexer asks this AITER for what it lacks",
            "Set SGLANG_DISABLE_AITER_FUSED_FP8_DSA_INDEXER=1.",
            ("dsa-indexer",),
        ),
    ),
    advisories=frozenset({"aiter-allgather", "war-barrier", "dsa-indexer"}),
)
