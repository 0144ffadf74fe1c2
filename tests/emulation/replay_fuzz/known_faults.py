"""Faults of AMD's runtimes that the fuzzer found, and how a run keeps out of their way."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class KnownFault:
    """What it is, and the options or variables with which it does not show."""

    shows: str
    options: dict[str, int] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


# docs/emulation-findings.md describes each. Side streams that wait for each other in a circle end
# EndCapture; they are drawn only with circles=1.
KNOWN_FAULTS = {
    "roots": KnownFault(
        "7.2.4: several roots behind unfinished work; replays are wrong", options={"one_root": 1}
    ),
    "memset": KnownFault(
        "6.4.3: memset nodes behind much argument memory; replays are wrong", options={"memset": 0}
    ),
    "waits": KnownFault(
        "7.2.4: the path without segments uses a stream that it did not make; a crash",
        environment={"DEBUG_HIP_GRAPH_SEGMENT_SCHEDULING": "2"},
    ),
}
