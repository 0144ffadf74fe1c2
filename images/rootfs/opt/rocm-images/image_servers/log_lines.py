"""Which lines of a server's log decide, and what its options are called in what is advised."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


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
    watchdog: str = "its own option"
    """How long its own watchdog waits."""
    no_custom_all_reduce: str = "its custom all-reduce off"
    port: str = "its own option"
    own_ports: str = "its own options"
    """Those of its processes among themselves."""


@dataclass(frozen=True)
class OwnCause:
    """What an error that only this server can have means, as serve_probe.causes.Cause has it."""

    name: str
    pattern: re.Pattern[str]
    state: str
    """What became of the server: a value of serve_probe.verdict.State."""
    said: str
    advice: str
    advisories: tuple[str, ...] = ()
    consequence: bool = False
    """Whether another process's failure is the cause."""


# Found in no line; with groups, for patterns whose groups are read.
_NEVER = re.compile(r"(?!)()()")


@dataclass(frozen=True)
class MoreAdvice:
    """What is to be said of one server besides, where a cause that any can have was found."""

    advice: str
    advisories: tuple[str, ...] = ()
    sign: re.Pattern[str] = _NEVER
    """Where a line of the log has it, this is named, and before what is said of any server."""


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
    survived: re.Pattern[str] = _NEVER
    """In such a prefix: what follows is told of, and ended nothing."""
    graceful: str = ""
    """Said before a clean end."""
    starts: re.Pattern[str] = _NEVER
    """Among the first lines of a server: after the end of one before it, another begins."""
    joining: re.Pattern[str] = _NEVER
    """A rank begins to look for the others."""
    joined: re.Pattern[str] = _NEVER
    """It found them."""
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
    each_rank_names_sizes: bool = False
    """Whether every rank says which size it captures; else only rank 0 does."""
    capture_count: re.Pattern[str] = _NEVER
    """Groups: what is captured, how many sizes of it."""
    decoding: re.Pattern[str] = _NEVER
    """In each line about decoding that was done."""
    decode_graph: re.Pattern[str] = _NEVER
    """Group 1: what a decoding ran as; group 2: how often, where it says so."""
    replays: frozenset[str] = frozenset({"True"})
    """What it ran as where it was a graph's replay."""
    decodes_untold: re.Pattern[str] = _NEVER
    """A server that says this may never say what its decoding ran as."""
    all_reduces: tuple[tuple[str, re.Pattern[str]], ...] = ()
    """Whose all-reduce a line shows; the first that is there counts."""
    failed: re.Pattern[str] = _NEVER
    """A process says that an exception ends it; group 1 is its name, a key of `processes`."""
    processes: Mapping[str, str] = field(default_factory=dict)
    """How texts call a process, by the name that logs have for it; "": that of a rank."""
    died: re.Pattern[str] = _NEVER
    """A process ended. Groups: `rank` or `child` or `process` where it says so, and `status`."""
    watchdog: re.Pattern[str] = _NEVER
    """Its own watchdog ends it. Groups: the process, the seconds."""
    warm_up_failed: re.Pattern[str] = _NEVER
    """A request of its own to itself failed: the head of a report of exceptions."""
    unhealthy: re.Pattern[str] = _NEVER
    """A health check got no answer, or a process none of another."""
    vanished: re.Pattern[str] = _NEVER
    """A process is gone, and nothing says how it ended."""
    asked_to_end: re.Pattern[str] = _NEVER
    """Its launcher was told to end before it was ready."""
    summary: re.Pattern[str] = _NEVER
    """An exception of who started the processes: it only says that one of them failed."""
    gives_up: re.Pattern[str] = _NEVER
    """The launcher ends its own processes, itself too."""
    advice: Advice = field(default_factory=Advice)
    causes: tuple[OwnCause, ...] = ()
    """They come before those that any server can have."""
    more_advice: Mapping[str, MoreAdvice] = field(default_factory=dict)
    """By a cause that any server can have: what is to be said besides for this one."""
    advisories: frozenset[str] = frozenset()
    """Those of matrix.yaml that are about this server alone."""
