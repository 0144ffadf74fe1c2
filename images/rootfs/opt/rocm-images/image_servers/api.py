"""How a server is asked for tokens over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen; the default is greedy."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = -1


@dataclass(frozen=True)
class Question:
    """Prompts as token ids, and of each answer so many tokens, whatever they are."""

    model: str
    """By which name the server knows what it serves."""
    prompts: Sequence[Sequence[int]]
    tokens: int
    sampling: Sampling
    logprobs: bool


@dataclass(frozen=True)
class Generation:
    """The tokens of one answer, and the log-probability of each (none where not asked for)."""

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...] = ()


@dataclass(frozen=True)
class Api:
    """Its own interface for one request with several prompts."""

    path: str
    body: Callable[[Question], dict[str, object]]
    """What is posted there, as JSON."""
    generations: Callable[[Any, bool], list[Generation]]
    """Of the JSON that came, and whether log-probabilities were asked for: in the prompts' order.

    Raises LookupError, TypeError, ValueError, AttributeError or OverflowError for any other JSON.
    """
