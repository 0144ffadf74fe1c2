"""Which flags `docker run` needs for these images, and why each of them.

The smoke test on a GPU gives its container the same, by `engine_options`: what was seen there is
then true of what is deployed.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rocm_images.servers import DEFAULT, Server

SHARED_MEMORY_GIB = 32
MODEL_CACHE = "/root/.cache/huggingface"
"""Where the Hugging Face hub keeps models inside the container: its user is root, and no image sets
HF_HOME."""
MODEL_VOLUME = "serving-models"
"""The volume of docker that keeps models where nobody names a folder."""
ROCM_DOCKER = "https://rocm.docs.amd.com/projects/install-on-linux/en/latest/how-to/docker.html"


@dataclass(frozen=True)
class RunFlag:
    """One flag of `docker run`, as separate words, and why it is there."""

    words: tuple[str, ...]
    why: str

    @property
    def text(self) -> str:
        """As it is typed in a shell."""
        return shlex.join(self.words)


@dataclass(frozen=True)
class RunOptions:
    """What a user decides; the defaults give the container no more than it needs."""

    port: int | None = DEFAULT.port
    """Where the server answers; None: nothing is to be reached from outside."""
    model_cache: str | None = MODEL_VOLUME
    """A folder of the host, or a volume, that keeps downloaded models; None: nothing does."""
    render_group: int | None = None
    """The number of the host's render group."""
    numa: bool = False
    """Whether processes may bind their memory to NUMA nodes."""


def run_flags(options: RunOptions = RunOptions()) -> tuple[RunFlag, ...]:
    """The flags, in the order in which they are written."""
    return tuple(_flags(options))


def _flags(options: RunOptions) -> Iterator[RunFlag]:
    yield RunFlag(
        ("--device", "/dev/kfd"),
        f"AMD's compute driver, which all GPUs share: {ROCM_DOCKER}",
    )
    yield RunFlag(
        ("--device", "/dev/dri"),
        "the render node of every GPU; name /dev/dri/renderD128 and so on to give fewer",
    )
    yield RunFlag(
        ("--group-add", "video"),
        "owns the devices on many hosts; a user other than root may also need the host's render "
        "group, by number, because an image may have none of that name: --render-group; rootless "
        "Podman takes keep-groups in its place",
    )
    if options.render_group is not None:
        yield RunFlag(("--group-add", str(options.render_group)), "the host's render group")
    yield RunFlag(
        ("--shm-size", f"{SHARED_MEMORY_GIB}g"),
        "the ranks of a server exchange data in /dev/shm, of which Docker gives 64 MiB; unlike "
        "--ipc=host it shares nothing with the host",
    )
    yield RunFlag(
        ("--ulimit", "memlock=-1"),
        "RCCL pins host memory; NCCL's guide, from which RCCL comes, asks for this in containers",
    )
    if options.numa:
        yield RunFlag(
            ("--cap-add", "SYS_NICE"),
            "lets a process bind its memory to a NUMA node, which Docker's seccomp profile "
            "forbids without it; seccomp=unconfined would allow far more",
        )
    yield RunFlag(
        ("--security-opt", "no-new-privileges:true"),
        "no process gets more rights than it was started with; nothing in the images needs to",
    )
    if options.port is not None:
        yield RunFlag(
            ("--publish", f"127.0.0.1:{options.port}:{options.port}"),
            "the server answers on this machine alone: it asks nobody for a password unless it is "
            "started with --api-key",
        )
    if options.model_cache:
        yield RunFlag(
            ("--volume", f"{options.model_cache}:{MODEL_CACHE}"),
            "keeps downloaded models when the container is gone",
        )
        yield RunFlag(
            ("--env", "HF_TOKEN"),
            "for models that need an account: taken from the shell that starts this, and not given "
            "where it has none",
        )


def flags_in_words(flags: Sequence[RunFlag]) -> str:
    """All of them as they are typed in a shell."""
    return " ".join(flag.text for flag in flags)


FOR_GPUS = run_flags(RunOptions(port=None, model_cache=None))
"""What every container gets that runs on GPUs, whatever runs in it."""
AS_DEPLOYED = flags_in_words(FOR_GPUS)
"""The same as evidence records it."""


def engine_options(flags: Sequence[RunFlag]) -> dict[str, Any]:
    """The flags as `containers.run` of the docker SDK takes them."""
    found: dict[str, Any] = {}
    for flag in flags:
        name, value = flag.words
        match name:
            case "--device":
                found.setdefault("devices", []).append(value)
            case "--group-add":
                found.setdefault("group_add", []).append(value)
            case "--security-opt":
                found.setdefault("security_opt", []).append(value)
            case "--shm-size":
                found["shm_size"] = value
            case "--ulimit":
                limit, _, number = value.partition("=")
                both = {"name": limit, "soft": int(number), "hard": int(number)}
                found.setdefault("ulimits", []).append(both)
            case _:
                raise ValueError(f"no container of ours is given {name}")
    return found


LEFT_OUT = (
    RunFlag(("--privileged",), "gives the container the whole host; no image needs it"),
    RunFlag(
        ("--security-opt", "seccomp=unconfined"),
        "AMD calls it optional, for binding memory to NUMA nodes: --numa asks for just that",
    ),
    RunFlag(("--cap-add", "SYS_PTRACE"), "for debuggers"),
    RunFlag(("--ipc", "host"), "--shm-size gives the shared memory without the host's"),
    RunFlag(("--network", "host"), "--publish is enough on one machine; several need it"),
)
"""Flags that instructions elsewhere have and these leave out."""


def serving_command(server: Server, model: str, port: int, gpus: int) -> tuple[str, ...]:
    """The command that serves a model on `gpus` GPUs."""
    return ("python3", *server.command(model, gpus, port, "0.0.0.0"))


def docker_run(flags: Sequence[RunFlag], reference: str, command: Sequence[str]) -> str:
    """The whole command over several lines, each with one flag, ready to be pasted in a shell."""
    lines = ["docker run --rm", *(flag.text for flag in flags), reference]
    if command:
        lines.append(shlex.join(command))
    return " \\\n  ".join(lines)


def model_cache_of(folder: Path) -> str:
    """The folder as Docker takes it: absolute."""
    return str(folder.expanduser().absolute())
