"""SGLang: what is built for it, how it is started, what its log says, which all-reduce it takes.

Log lines as SGLang 0.5.17 writes them (tests/data/serve_logs); 0.5.21's source has the same texts.
"""

from __future__ import annotations

import re
from typing import Any

from image_servers.all_reduce import AllReduceVariable
from image_servers.api import Api, Generation, Question
from image_servers.arguments import Arguments
from image_servers.log_lines import Advice, LogLines, OwnCause
from image_servers.server import Graphs, Groups, Probe, Server

_TIME = r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?"


def _command(model: str, gpus: int, port: int, host: str) -> list[str]:
    return [
        *("-m", "sglang.launch_server", "--model-path", model),
        *("--tp", str(gpus), "--host", host, "--port", str(port)),
    ]


def _probe_arguments(backend: str, gpus: int, graphs: Graphs, limited: bool) -> list[str]:
    return [
        # For a model that no tuned kernel knows; prompts repeat, and a cached prefix would make a
        # repeated prompt another computation.
        *("--attention-backend", "triton", "--sampling-backend", "pytorch"),
        *("--random-seed", "42", "--disable-radix-cache"),
        *(("--max-total-tokens", "131072") if limited else ()),
        # On CUDA the all-reduce is named at this level only.
        *(("--log-level", "debug") if backend == "cuda" and gpus > 1 else ()),
        *(("--disable-cuda-graph",) if graphs is Graphs.NONE else ()),
        *(("--cuda-graph-backend-prefill", "disabled") if graphs is Graphs.DECODE else ()),
    ]


def _body(question: Question) -> dict[str, Any]:
    return {
        "input_ids": [list(prompt) for prompt in question.prompts],
        "sampling_params": {
            "temperature": question.sampling.temperature,
            "top_p": question.sampling.top_p,
            "top_k": question.sampling.top_k,
            "max_new_tokens": question.tokens,
            "ignore_eos": True,
        },
        "return_logprob": question.logprobs,
    }


def _generations(answers: Any, logprobs: bool) -> list[Generation]:
    if not isinstance(answers, list):
        raise TypeError("no list")
    return [_generation(answer, logprobs) for answer in answers]


def _generation(answer: Any, logprobs: bool) -> Generation:
    said = answer["meta_info"].get("output_token_logprobs") or []
    tokens = answer.get("output_ids")
    if tokens is None:
        tokens = [entry[1] for entry in said]
    # NaN arrives as null, or as JSON's own NaN.
    given = [float("nan") if entry[0] is None else float(entry[0]) for entry in said]
    return Generation(tuple(int(t) for t in tokens), tuple(given) if logprobs else ())


_SEVERAL = "for a server on several nodes use a LeaderWorkerSet: docs/leader-worker-set.yaml is one"
# Source: sglang/srt/server_args.py.
_ARGUMENTS = Arguments(
    example="--mem-fraction-static 0.85",
    of_the_deployment={
        "--model": "--model before -- names the model",
        "--model-path": "--model before -- names the model",
        "--port": "say --port before --, where the health checks find it as well",
        "--host": "it answers the container's network, and what is published is this deployment's",
        "--nnodes": _SEVERAL,
        "--node-rank": _SEVERAL,
        "--dist-init-addr": _SEVERAL,
        "--nccl-init-addr": _SEVERAL,
    },
    tensor=("--tp", "--tp-size", "--tensor-parallel-size"),
    pipeline=("--pp", "--pp-size", "--pipeline-parallel-size"),
    data=("--dp", "--dp-size", "--data-parallel-size"),
    data_within_tensor=frozenset(
        {
            "--enable-dp-attention",
            # These turn it on for some models, or for all.
            *("--dwdp-size", "--enable-prefill-cp", "--enable-prefill-context-parallel"),
            *("--enable-dsa-prefill-context-parallel", "--enable-nsa-prefill-context-parallel"),
            # A file, which may have it.
            "--config",
        }
    ),
    several_nodes=_SEVERAL,
)

# Sources: managers/scheduler.py (the ranks), utils/watchdog.py, entrypoints/engine.py (who died),
# model_runner_components/cuda_graph_setup.py and speculative/ (captures), of 0.4.6 to 0.5.23.
_LOG = LogLines(
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
        r"(?:Prefill|Decode) batch|INFO: +Started server process|INFO: +Application startup"
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
        r"|Subprocess (?:scheduler_(?P<child>\d{1,6})|(?P<process>\w{1,60})) \(pid=\d+\) crashed"
        r"|Child process unexpectedly failed|Scheduler or DataParallelController \d+ terminated)"
        r"(?:.{0,80}?(?:exit ?code:?[ =]{0,2}| with )(?P<status>-?\d{1,6}))?"
    ),
    watchdog=re.compile(
        r"^(?:(\w{1,60}) w|W)atchdog timeout \(self\.watchdog_timeout=(\d{1,9})(?:\.\d+)?"
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
    wheel_stages=("aiter", "fast-hadamard-transform", "sgl-kernel"),
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
    arguments=_ARGUMENTS,
    probe=Probe(
        arguments=_probe_arguments,
        api=Api(path="/generate", body=_body, generations=_generations),
        no_memory=lambda total: ("--mem-fraction-static", "0.995"),
        model_module="sglang.srt.model_executor.model_runner",
        groups=Groups("sglang.srt.distributed.parallel_state", "GroupCoordinator", "all_reduce"),
        # It kills its processes itself, the launcher too.
        clean_statuses=frozenset({0, -9}),
    ),
    variables="SGLANG_",
    log=_LOG,
)
