"""What a child process of the probe is started for, as its specification says it in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict


class Decoding(TypedDict):
    """What is decoded, once the runtime is there."""

    batches: Sequence[int]
    steps: int
    graph_steps: int
    sabotage: str | None


class Lead(TypedDict):
    """Loads the runtime, describes it, and compiles for all others."""

    role: Literal["lead"]
    backend: str
    torch: str | None
    """The folder of PyTorch's libraries."""
    gfx: str | None
    """What the devices have to be."""
    folder: str
    """Where the compiled kernels go."""
    devices: int | None
    """How many; None: all that are visible."""
    decode: Decoding | None


class CaptureCase(TypedDict):
    """Captures in cases, of which this is the first."""

    role: Literal["case"]
    case: int
    guarded: bool
    libraries: Sequence[str]
    """Of a Libraries."""


class ReplayCases(TypedDict):
    """Replays cases beside other streams."""

    role: Literal["replay"]
    cases: Sequence[int]
    other_streams: int
    libraries: Sequence[str]
    """Of a Libraries."""
    sabotaged: bool


class Reference(TypedDict):
    """Computes what the decode has to give."""

    role: Literal["reference"]
    starts: Sequence[int]
    steps: int
