"""What a server is judged by beside its log, and what it is judged."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from graph_probe.exit_codes import ExitCode


class State(str, enum.Enum):
    """What became of a server."""

    READY = "ready"
    CAPTURE_INVALIDATED = "capture-invalidated"
    OUT_OF_MEMORY = "out-of-memory"
    ABORTED_IN_CAPTURE = "aborted-in-capture"
    ABORTED_DECODING = "aborted-decoding"
    CRASHED = "crashed"
    """A process died by a signal of its own making: SIGSEGV, say, or SIGABRT before a capture."""
    GPU_ERROR = "gpu-error"
    """A call of the GPU's runtime failed, or a kernel did, and not for a capture or for memory."""
    KILLED = "killed"
    HUNG = "hung"
    UNKNOWN = "unknown"

    def __str__(self) -> str:
        return self.value


EXIT_OF_STATE = {
    State.READY: ExitCode.PASS,
    State.CAPTURE_INVALIDATED: ExitCode.SERVER_CAPTURE_INVALIDATED,
    State.OUT_OF_MEMORY: ExitCode.SERVER_OUT_OF_MEMORY,
    State.ABORTED_IN_CAPTURE: ExitCode.SERVER_ABORTED,
    State.ABORTED_DECODING: ExitCode.SERVER_ABORTED,
    State.CRASHED: ExitCode.SERVER_CRASHED,
    State.GPU_ERROR: ExitCode.SERVER_GPU_ERROR,
    State.KILLED: ExitCode.SERVER_KILLED,
    State.HUNG: ExitCode.SERVER_HUNG,
    State.UNKNOWN: ExitCode.SERVER_FAILED,
}


class Stage(str, enum.Enum):
    """How far a server had come."""

    STARTING = "starting"
    LOADING = "loading"
    CAPTURING = "capturing"
    WARMING_UP = "warming up"
    SERVING = "serving"
    STOPPING = "stopping"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Ending:
    """What the starter of a server knows of its end.

    `status` is the launcher's, None while it runs; `stopped`: the starter ended it, on purpose;
    `overdue`: it did not do in time what was waited for.
    """

    status: int | None = None
    stopped: bool = False
    overdue: bool = False


@dataclass(frozen=True)
class Verdict:
    """`stage`, `phase`, `size`, `rank` and `process` say where, as far as the log does.

    `phase` is what was being captured, None outside of captures; `line` is what decided; `cause`
    is a name for it (docs/serve.md lists them).
    """

    state: State
    sentence: str
    advisories: tuple[str, ...] = ()
    phase: str | None = None
    size: int | None = None
    rank: int | None = None
    line: str = ""
    stage: Stage = Stage.STARTING
    process: str | None = None
    cause: str | None = None
