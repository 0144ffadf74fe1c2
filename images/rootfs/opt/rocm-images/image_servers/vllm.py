"""vLLM: what is built for it, how it is started and asked, which all-reduce it takes.

From the sources of 0.11 to 0.33.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from image_servers.all_reduce import AllReduceVariable, Switch
from image_servers.api import Api, Generation, Question
from image_servers.arguments import Arguments
from image_servers.server import Graphs, Groups, Probe, Server
from image_servers.vllm_log import LOG


def _command(model: str, gpus: int, port: int, host: str) -> list[str]:
    return [
        *("-m", "vllm.entrypoints.cli.main", "serve", model),
        *("--tensor-parallel-size", str(gpus), "--host", host, "--port", str(port)),
    ]


_GRAPHS: Mapping[Graphs, Mapping[str, str | int]] = {
    # --enforce-eager would leave out torch.compile as well, whose kernels round otherwise.
    Graphs.NONE: {"cudagraph_mode": "NONE"},
    # Without compiling, which takes its time and captures nothing.
    Graphs.DECODE: {"mode": 0, "cudagraph_mode": "FULL_DECODE_ONLY"},
}


def _probe_arguments(_backend: str, _gpus: int, graphs: Graphs, limited: bool) -> list[str]:
    return [
        # For a model that no tuned kernel knows; prompts repeat, and a cached prefix would make a
        # repeated prompt another computation.
        *("--attention-backend", "TRITON_ATTN", "--seed", "42", "--no-enable-prefix-caching"),
        *("--max-model-len", "4096", "--max-num-seqs", "64", "--cudagraph-metrics"),
        # It profiles nothing then, and asks for little that is free, so that servers can start side
        # by side on one GPU.
        *(("--kv-cache-memory-bytes", str(256 * 1024 * 1024)) if limited else ()),
        *(("--gpu-memory-utilization", "0.1") if limited else ()),
        *(("--compilation-config", json.dumps(_GRAPHS[graphs])) if graphs in _GRAPHS else ()),
    ]


def _probe_environment(folder: str) -> dict[str, str]:
    return {
        # What was compiled for another run must not be taken for this one's.
        "VLLM_CACHE_ROOT": folder,
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOG_STATS_INTERVAL": "0.5",
        # At this level each rank says what it captures.
        "VLLM_LOGGING_LEVEL": "DEBUG",
        # Another sampler would need FlashInfer.
        "VLLM_USE_FLASHINFER_SAMPLER": "0",
        # Its processes leave no word where a signal ends them, but for Python's own.
        "PYTHONFAULTHANDLER": "1",
    }


def _body(question: Question) -> dict[str, object]:
    body = {
        "model": question.model,
        "prompt": [list(prompt) for prompt in question.prompts],
        "max_tokens": question.tokens,
        "temperature": question.sampling.temperature,
        "top_p": question.sampling.top_p,
        "top_k": question.sampling.top_k,
        "ignore_eos": True,
        "return_token_ids": True,
    }
    return {**body, "logprobs": 1} if question.logprobs else body


def _generations(answer: Any, logprobs: bool) -> list[Generation]:
    choices = sorted(answer["choices"], key=lambda choice: choice["index"])
    return [
        Generation(
            tuple(int(token) for token in choice["token_ids"]),
            tuple(float(one) for one in choice["logprobs"]["token_logprobs"]) if logprobs else (),
        )
        for choice in choices
    ]


_SEVERAL = "a server on several nodes is not rendered here"
# Sources: vllm/engine/arg_utils.py, vllm/config/parallel.py (what takes GPUs), and
# vllm/entrypoints/openai/cli_args.py.
_ARGUMENTS = Arguments(
    example="--gpu-memory-utilization 0.85",
    of_the_deployment={
        "--model": "--model before -- names the model",
        "--port": "say --port before --, where the health checks find it as well",
        "--host": "it answers the container's network, and what is published is this deployment's",
        "--grpc": "it answers HTTP, which the health checks ask",
        "--uds": "it answers the container's network, where the health checks find it",
        "--nnodes": _SEVERAL,
        "-n": _SEVERAL,
        "--node-rank": _SEVERAL,
        "-r": _SEVERAL,
        "--master-addr": _SEVERAL,
        "--headless": _SEVERAL,
        **dict.fromkeys(("--data-parallel-address", "-dpa"), _SEVERAL),
        **dict.fromkeys(("--data-parallel-size-local", "-dpl"), _SEVERAL),
        **dict.fromkeys(("--data-parallel-start-rank", "-dpr"), _SEVERAL),
        **dict.fromkeys(("--data-parallel-rank", "-dpn"), _SEVERAL),
        "--config": "a file may hold any of the deployment's own: write its options after --",
    },
    tensor=("--tensor-parallel-size", "-tp"),
    pipeline=("--pipeline-parallel-size", "-pp"),
    data=("--data-parallel-size", "-dp"),
    others=(("--prefill-context-parallel-size", "-pcp"),),
    several_nodes=_SEVERAL,
)

VLLM = Server(
    name="vllm",
    title="vLLM",
    package="vllm",
    launcher="vllm.entrypoints.cli.main",
    distributions={"vllm": "vllm", "aiter": "amd-aiter", "flash-attention": "flash-attn"},
    kernels={
        "AITER": ("aiter", "aiter_meta"),
        "flash-attention": ("flash_attn_2_cuda",),
        "vLLM": ("vllm",),
    },
    prebuilt="AITER",
    wheel_stages=("aiter", "flash-attention", "vllm"),
    own_wheel=False,
    # Sources: vllm/envs.py, vllm/_aiter_ops.py and
    # vllm/distributed/device_communicators/cuda_communicator.py.
    all_reduce=AllReduceVariable(
        name="VLLM_ROCM_USE_AITER_CUSTOM_AR",
        default="true",
        on="aiter",
        off="vllm",
        titles={"aiter": "AITER", "vllm": "vLLM"},
        dispatch="is_custom_all_reduce_enabled",
        since="0.25.0",
        requires=(Switch("VLLM_ROCM_USE_AITER", "false"),),
    ),
    port=8000,
    command=_command,
    arguments=_ARGUMENTS,
    probe=Probe(
        arguments=_probe_arguments,
        api=Api(path="/v1/completions", body=_body, generations=_generations),
        no_memory=lambda total: ("--kv-cache-memory-bytes", str(total)),
        environment=_probe_environment,
        model_module="vllm.v1.worker.gpu_worker",
        # What is compiled calls this one, and not all_reduce.
        groups=Groups(
            "vllm.distributed.parallel_state", "GroupCoordinator", "_all_reduce_out_place"
        ),
    ),
    variables="VLLM_",
    log=LOG,
)
