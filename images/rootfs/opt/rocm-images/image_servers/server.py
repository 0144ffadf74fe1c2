"""What the pipeline and the programs in an image must know of an inference server."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class AllReduce(NamedTuple):
    """The custom all-reduce that a server would take, and a warning about how it was asked for."""

    name: str
    """AllReduceVariable.on or .off."""
    warning: str | None


@dataclass(frozen=True)
class AllReduceVariable:
    """The environment variable that chooses the custom all-reduce, and how the server reads it."""

    name: str
    default: str
    """What it is taken for where it is not set."""
    on: str
    """Whose all-reduce a true value selects; it is the one that the capture bug is about."""
    off: str
    """Whose a false value selects."""
    titles: Mapping[str, str]
    """Both, as texts name them."""
    dispatch: str
    """The function of the server that is to decide by it."""
    since: str
    """The first release that reads it."""

    def chosen(self, environment: Mapping[str, str]) -> AllReduce:
        """Lower-cased, "true" or "1" is true, "false" or "0" false, anything else false too."""
        value = environment.get(self.name, self.default).lower()
        if value in ("true", "1"):
            return AllReduce(self.on, None)
        if value in ("false", "0"):
            return AllReduce(self.off, None)
        return AllReduce(
            self.off,
            f"{self.name}={environment[self.name]!r} is no boolean; it is taken for false. "
            "Write 1 or 0.",
        )


@dataclass(frozen=True)
class Advice:
    """What a server's options are called, for the next step that a verdict names."""

    memory: str = "its share of the memory"
    """How much of the GPU's memory it takes for itself."""
    graph_sizes: str = "the sizes that it captures"
    """The largest size that it captures."""
    eager: str = "its captured graphs off"
    """No captured graphs at all."""
    own_all_reduce: str = "its own all-reduce"
    """Its own custom all-reduce instead of AITER's."""
    no_custom_all_reduce: str = "its custom all-reduce off"
    port: str = "its own option"
    own_ports: str = "its own options"
    """Those of its processes among themselves."""


# Found in no line; with groups, for patterns whose groups are read.
_NEVER = re.compile(r"(?!)()()")


@dataclass(frozen=True)
class LogLines:
    """The lines of a server's log that decide. Patterns are searched in one line's message.

    What is left out is in no line.
    """

    title: str
    """Whose log it is."""
    ready: str
    signature: re.Pattern[str] = _NEVER
    """What its logs have and others have not."""
    prefix: re.Pattern[str] = _NEVER
    """What its own logger writes before a message, from the beginning of the line."""
    rank: re.Pattern[str] = _NEVER
    """In such a prefix, group 1: the tensor-parallel rank that the line is of."""
    graceful: str = ""
    """Said before a clean end."""
    starts: re.Pattern[str] = _NEVER
    """Among the first lines of a server: after the end of one before it, another begins."""
    loading: re.Pattern[str] = _NEVER
    """It has begun to load the model, or a draft model."""
    warming_up: re.Pattern[str] = _NEVER
    """It has captured what it captures, and is not ready."""
    stopping: re.Pattern[str] = _NEVER
    capture_begin: re.Pattern[str] = _NEVER
    """Groups: what is captured (a key of `capture_phases`, else its own name), the sizes."""
    capture_end: re.Pattern[str] = _NEVER
    """Groups: what is captured ("": everything), the seconds that it took."""
    capture_phases: Mapping[str, str] = field(default_factory=dict)
    capture_progress: re.Pattern[str] = _NEVER
    """Groups: a key of `progress_phase`, the size that is captured."""
    progress_phase: Mapping[str, str] = field(default_factory=dict)
    decoding: str = ""
    """In each line about decoding."""
    decode_graph: re.Pattern[str] = _NEVER
    """Group 1 is True where the decoding was a graph's replay."""
    all_reduces: tuple[tuple[str, str], ...] = ()
    """Whose all-reduce a text shows; the first that is there counts."""
    failed: re.Pattern[str] = _NEVER
    """A process says that an exception ends it; group 1 is its name, a key of `processes`."""
    processes: Mapping[str, str] = field(default_factory=dict)
    """How texts call a process, by the name that logs have for it; "": that of a rank."""
    died: re.Pattern[str] = _NEVER
    """A process ended. Groups: `rank` or `child` or `process` where it says so, and `status`."""
    watchdog: re.Pattern[str] = _NEVER
    """Its own watchdog ends it. Groups: the process, the seconds."""
    unhealthy: re.Pattern[str] = _NEVER
    """A health check got no answer."""
    summary: re.Pattern[str] = _NEVER
    """An exception of who started the processes: it only says that one of them failed."""
    gives_up: re.Pattern[str] = _NEVER
    """The launcher ends its own processes, itself too."""
    advice: Advice = field(default_factory=Advice)


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
    probe_arguments: Callable[[str, int, bool, bool], list[str]]
    """What is added to have a tiny model answer the same way each time.

    By the backend (`hip` or `cuda`), the GPUs, whether it captures graphs, whether its cache is
    kept small.
    """
    toolchains: tuple[str, ...] = ()
    """Downloads in matrix.yaml whose toolchain its recipe builds with."""
    has_extra: bool = False
    """Whether its recipe installs an extra of its wheel, which matrix.yaml names."""
    decode_only: tuple[str, ...] = ()
    """What leaves it the captures of decode alone."""
    also_built: tuple[tuple[str, ...], ...] = ()
    """Distributions that come without a version of their own; of each group one is there."""
    prebuilt: str | None = None
    """The key of `kernels` that would compile for minutes at the first request, were it empty."""
    model_module: str = ""
    """A module of it that only its processes with a model import."""
    groups_module: str = ""
    """The module whose GroupCoordinator.all_reduce is that of every process group."""
