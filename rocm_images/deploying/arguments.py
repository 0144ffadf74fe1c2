"""Whether what a user gives the server besides fits the deployment: no other port, no more GPUs.

Spellings are those of SGLang's server_args.py. It reads them with argparse, which takes the last of
an option that is there twice, and abbreviations.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from rocm_images.errors import InputError

_SEVERAL = "for a server on several nodes see docs/leader-worker-set.yaml"
_OURS = {
    "--model": "--model before -- names the model",
    "--model-path": "--model before -- names the model",
    "--port": "say --port before --, where the health checks find it as well",
    "--host": "it answers the container's network, and what is published is this deployment's",
    "--nnodes": _SEVERAL,
    "--node-rank": _SEVERAL,
    "--dist-init-addr": _SEVERAL,
    "--nccl-init-addr": _SEVERAL,
}
_TENSOR = ("--tp", "--tp-size", "--tensor-parallel-size")
_PIPELINE = ("--pp", "--pp-size", "--pipeline-parallel-size")
_DATA = ("--dp", "--dp-size", "--data-parallel-size")
_KINDS = (_TENSOR, _PIPELINE, _DATA)
_WRITTEN_OUT = {*_OURS, *_TENSOR, *_PIPELINE, *_DATA}
_DATA_WITHIN_TENSOR = {
    "--enable-dp-attention",
    # These turn it on for some models, or for all.
    *("--dwdp-size", "--enable-prefill-cp", "--enable-prefill-context-parallel"),
    *("--enable-dsa-prefill-context-parallel", "--enable-nsa-prefill-context-parallel"),
    # A file, which may have it.
    "--config",
}
"""With any of these, the replicas of --dp may share the GPUs of --tp."""


def check_arguments(arguments: Sequence[str], gpus: int, title: str) -> None:
    """Whether a server that gets so many GPUs can be given these arguments.

    Args:
        arguments: what follows --.
        gpus: how many devices the server gets, and takes where no --tp is among the arguments.
        title: what the inference server is called.

    Raises:
        InputError: one is the deployment's own, or they ask for more GPUs.
    """
    if arguments and not arguments[0].startswith("-"):
        raise InputError(
            f"{arguments[0]!r} is no option of the server: after --, write what {title} is to be "
            "given, like --mem-fraction-static 0.85"
        )
    for word in arguments:
        if not word.isprintable():
            raise InputError(f"{word!r} is no argument of a server: it cannot be printed")
        option = word.partition("=")[0]
        if option in _OURS:
            raise InputError(f"{option} is not for {title} here: {_OURS[option]}")
        meant = [full for full in sorted(_WRITTEN_OUT) if full.startswith(option)]
        if meant and len(option) > len("--") and option not in _WRITTEN_OUT:
            raise InputError(f"{option} is an abbreviation: write the option out, as {meant[0]}")
    _check_gpus(arguments, gpus)


def _check_gpus(arguments: Sequence[str], gpus: int) -> None:
    said = [("--tp", gpus), *_said(arguments)]
    within = any(word.partition("=")[0] in _DATA_WITHIN_TENSOR for word in arguments)
    # The last of each kind, as it is spelt.
    asked = {
        kind: (option, number)
        for kind in _KINDS
        if not (within and kind is _DATA)
        for option, number in said
        if option in kind
    }
    ranks = asked[_TENSOR][1]
    others = math.prod(number for kind, (_, number) in asked.items() if kind is not _TENSOR)
    if ranks * others <= gpus:
        return
    words = [f"{option} {number}" for option, number in asked.values() if number != 1]
    total = f" ({ranks * others} together)" if len(words) > 1 else ""
    mend = f"say --gpus {ranks * others} before --"
    if not any(option in _TENSOR for option, _ in said[1:]):
        mend = (
            f"say --tp {gpus // others} after --, too"
            if others <= gpus
            else f"say --gpus {others} before --, and --tp 1 after it"
        )
    raise InputError(
        f"{' times '.join(words)}{total} is more than the {gpus} GPUs that the server gets: {mend}"
    )


def _said(arguments: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Each option of parallelism with its number; what is no number, the server refuses."""
    for number, word in enumerate(arguments):
        option, equals, value = word.partition("=")
        if any(option in kind for kind in _KINDS):
            value = value if equals else "".join(arguments[number + 1 : number + 2])
            try:
                yield option, max(1, int(value))
            except ValueError:
                continue
