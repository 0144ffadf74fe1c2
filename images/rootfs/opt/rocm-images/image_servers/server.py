"""What the pipeline and the programs in an image must know of an inference server."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from image_servers.all_reduce import AllReduceVariable
from image_servers.api import Api
from image_servers.arguments import Arguments
from image_servers.log_lines import LogLines


class Graphs(enum.Enum):
    """Which graphs a server is to capture."""

    NONE = "none"
    """None, with the kernels of DEFAULT all the same: their tokens are compared."""
    DECODE = "decode"
    """Those of decode alone."""
    DEFAULT = "default"
    """What it captures unless it is told otherwise."""


class Groups(NamedTuple):
    """Through which method each all-reduce of its process groups goes, in captures too."""

    module: str
    of: str
    """The class."""
    method: str


@dataclass(frozen=True)
class Probe:
    """How graph-probe serve starts it, and reaches into its processes."""

    arguments: Callable[[str, int, Graphs, bool], list[str]]
    """What is added to have a tiny model answer the same way each time.

    By the backend (`hip` or `cuda`), the GPUs, what it captures, whether its cache is kept small.
    """
    api: Api
    no_memory: Callable[[int], tuple[str, ...]]
    """What makes a cache that is not kept small ask for more memory than there is; by its bytes."""
    environment: Callable[[str], Mapping[str, str]] = lambda folder: {}
    """What is set for it besides; by a folder of this run alone."""
    model_module: str = ""
    """A module of it that only its processes with a model import."""
    groups: Groups | None = None
    clean_statuses: frozenset[int] = frozenset({0})
    """Of its launcher, after SIGTERM."""


@dataclass(frozen=True)
class Server:
    """One inference server; `name` is its key in matrix.yaml, and of its folder of templates."""

    name: str
    title: str
    """As texts name it."""
    package: str
    """Its import package."""
    launcher: str
    """The module of it that is run."""
    distributions: Mapping[str, str]
    """Source in matrix.yaml -> the Python distribution that is built from it."""
    kernels: Mapping[str, tuple[str, ...]]
    """Whose kernels are compiled for one GPU -> the import packages that hold them."""
    wheel_stages: tuple[str, ...]
    """Stages whose /wheels are installed for one GPU: a part each, templates/servers/NAME/STAGE.j2,
    or templates/parts/STAGE.j2 where servers share it. What changes rarely comes first:
    its layers lie lowest."""
    all_reduce: AllReduceVariable
    log: LogLines
    port: int
    """That it serves on unless it is told otherwise."""
    command: Callable[[str, int, int, str], list[str]]
    """The words after `python3` that serve a model: by its place, the GPUs, the port, the host."""
    arguments: Arguments
    probe: Probe
    variables: str
    """How the names of its own environment variables begin."""
    toolchains: tuple[str, ...] = ()
    """Downloads in matrix.yaml whose toolchain its recipe builds with."""
    has_extra: bool = False
    """Whether its recipe installs an extra of its wheel, which matrix.yaml names."""
    own_wheel: bool = True
    """Whether a wheel of it is for no GPU in particular: the part `wheel` of its recipe. Without,
    one of `wheel_stages` makes it."""
    also_built: tuple[tuple[str, ...], ...] = ()
    """Distributions that come without a version of their own; of each group one is there."""
    prebuilt: str | None = None
    """The key of `kernels` that would compile for minutes at the first request, were it empty."""
    health: str = "/health"
    """Which path answers with 200 while it serves: what a deployment asks."""
