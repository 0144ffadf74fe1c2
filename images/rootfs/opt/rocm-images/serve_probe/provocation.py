"""Failures that are provoked in the unmodified server, to see that each is judged as what it is.

injection/sitecustomize.py makes them, in the server's own processes; nothing of it is changed
on disk. `query-relaxed` is the control: the same thread, opted out, must harm nothing.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, replace
from pathlib import Path

from serve_probe.server_log import ServerLog
from serve_probe.verdict import State

INJECTION = Path(__file__).parent / "injection"
KIND, RANK, PERIOD = "SERVE_PROBE_PROVOKE", "SERVE_PROBE_RANK", "SERVE_PROBE_PERIOD"
TRIGGER = "SERVE_PROBE_TRIGGER"
ROOTS = "SERVE_PROBE_ROOTS"
"""Provokes nothing: has the roots of each captured graph counted."""
SERVER = "SERVE_PROBE_SERVER"
HELD = "serve-probe holds a capture open for ever"
"""What the injection writes when it hangs: from then on the server is given little time."""

FEWEST_CALLS = 1000
"""So many calls, none refused, make the control one."""
_WATCHING = re.compile(
    r"\[serve-probe [^\]]{1,80}\] [\w-]{1,40} every [\d.]{1,12} s on device \d{1,6}; "
    r"statuses \[0(, 0){0,99}\]"
)
_HARMLESS = re.compile(
    rf"\[serve-probe [^\]]{1, 80}\] query-relaxed: refused 0 of {FEWEST_CALLS}\b"
)


class Kind(str, enum.Enum):
    """What is provoked."""

    QUERY = "query"
    QUERY_100_MS = "query-100ms"
    QUERY_PREFILL = "query-prefill"
    QUERY_RANK_1 = "query-rank-1"
    QUERY_RELAXED = "query-relaxed"
    SYNCHRONIZE = "synchronize"
    ABORT_IN_CAPTURE = "abort-in-capture"
    ABORT_DECODING = "abort-decoding"
    KILL_IN_CAPTURE = "kill-in-capture"
    KILL_DECODING = "kill-decoding"
    OUT_OF_MEMORY = "out-of-memory"
    OUT_OF_MEMORY_IN_CAPTURE = "out-of-memory-in-capture"
    HANG_IN_CAPTURE = "hang-in-capture"
    MISSING_RANK = "missing-rank"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Provocation:
    """One failure, and what the judge must say of it.

    `injected` is what the injection is told to do, "" where options alone provoke it; `period` is
    in seconds; `tokens_differ`: the server stays up, and only its tokens are wrong.
    """

    kind: Kind
    description: str
    state: State
    phase: str | None = None
    rank: int | None = None
    injected: str = ""
    period: float = 0.001
    tensor_parallel: int = 1
    decode_only: bool = True
    """Whether no captures but those of decode are made."""
    unlimited: bool = False
    """With a cache that is larger than the memory."""
    while_decoding: bool = False
    tokens_differ: bool = False

    @property
    def name(self) -> str:
        """Names its log: the kind, and above two ranks how many there are."""
        ranks = f"-tp{self.tensor_parallel}" if self.tensor_parallel > 2 else ""
        return f"{self.kind}{ranks}"

    def at(self, tensor_parallel: int) -> Provocation:
        """The same on so many ranks; one that is of a single rank stays as it is."""
        if self.tensor_parallel == 1:
            return self
        return replace(self, tensor_parallel=tensor_parallel)

    @property
    def alone(self) -> bool:
        """Whether no other server may run beside it: it needs all GPUs, or all memory of one."""
        return self.tensor_parallel > 1 or self.unlimited

    def acted(self, log: ServerLog) -> bool:
        """Whether the log shows that what watches did: a thread that died provokes nothing."""
        if self.injected in ("query", "synchronize"):
            return any(log.matches(_WATCHING))
        if self.injected == "query-relaxed":
            return any(log.matches(_WATCHING)) and any(log.matches(_HARMLESS))
        return True

    def environment(self, trigger: Path) -> dict[str, str]:
        """What the server's processes are told."""
        if not self.injected:
            return {}
        told = {KIND: self.injected, PERIOD: str(self.period), TRIGGER: str(trigger)}
        return told if self.rank is None else {**told, RANK: str(self.rank)}


_INVALIDATED = State.CAPTURE_INVALIDATED
PROVOCATIONS = {
    provocation.kind: provocation
    for provocation in (
        Provocation(
            Kind.QUERY,
            "another thread's event query in GLOBAL mode, every ms, while decode is captured",
            _INVALIDATED,
            "decode",
            injected="query",
        ),
        Provocation(
            Kind.QUERY_100_MS,
            "the same every 100 ms, the period of PyTorch's watchdog; one capture is held for it",
            _INVALIDATED,
            "decode",
            injected="query",
            period=0.1,
        ),
        Provocation(
            Kind.QUERY_PREFILL,
            "the same every ms, while prefill is captured",
            _INVALIDATED,
            "prefill",
            injected="query",
            decode_only=False,
        ),
        Provocation(
            Kind.QUERY_RANK_1,
            "the same on rank 1 of several alone",
            _INVALIDATED,
            "decode",
            rank=1,
            injected="query",
            tensor_parallel=2,
        ),
        Provocation(
            Kind.QUERY_RELAXED,
            "control: the same thread in RELAXED mode, every ms",
            State.READY,
            injected="query-relaxed",
        ),
        Provocation(
            Kind.SYNCHRONIZE,
            "another thread synchronises the device in a capture",
            _INVALIDATED,
            "decode",
            injected="synchronize",
        ),
        Provocation(
            Kind.ABORT_IN_CAPTURE,
            "abort() in a capture",
            State.ABORTED_IN_CAPTURE,
            "decode",
            injected="abort-in-capture",
        ),
        Provocation(
            Kind.ABORT_DECODING,
            "abort() while decoding",
            State.ABORTED_DECODING,
            injected="abort-when-triggered",
            while_decoding=True,
        ),
        Provocation(
            Kind.KILL_IN_CAPTURE,
            "SIGKILL in a capture",
            State.KILLED,
            "decode",
            injected="kill-in-capture",
        ),
        Provocation(
            Kind.KILL_DECODING,
            "SIGKILL while decoding",
            State.KILLED,
            injected="kill-when-triggered",
            while_decoding=True,
        ),
        Provocation(
            Kind.OUT_OF_MEMORY,
            "a cache that leaves no memory",
            State.OUT_OF_MEMORY,
            unlimited=True,
        ),
        Provocation(
            Kind.OUT_OF_MEMORY_IN_CAPTURE,
            "an allocation inside a capture that cannot be had",
            State.OUT_OF_MEMORY,
            "decode",
            injected="allocate-in-capture",
        ),
        Provocation(
            Kind.HANG_IN_CAPTURE,
            "a capture that never ends",
            State.HUNG,
            "decode",
            injected="hang-in-capture",
        ),
        Provocation(
            Kind.MISSING_RANK,
            "rank 1's part of every all-reduce is lost",
            State.READY,
            rank=1,
            injected="missing-rank",
            tensor_parallel=2,
            decode_only=False,
            tokens_differ=True,
        ),
    )
}
