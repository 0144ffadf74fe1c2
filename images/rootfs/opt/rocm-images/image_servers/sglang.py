"""SGLang: what is built for it, how it is started and asked, which all-reduce it takes."""

from __future__ import annotations

from typing import Any

from image_servers.all_reduce import AllReduceVariable
from image_servers.api import Api, Generation, Question
from image_servers.arguments import Arguments
from image_servers.server import Graphs, Groups, Probe, Server
from image_servers.sglang_log import LOG


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


def _body(question: Question) -> dict[str, object]:
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
    log=LOG,
)
