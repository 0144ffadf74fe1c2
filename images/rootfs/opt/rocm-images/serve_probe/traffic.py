"""What is sent to a server: greedy, again, as a batch, sampled, and three loads for throughput."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from image_servers import Generation, Sampling
from serve_probe.client import Client

PROMPTS: tuple[tuple[int, ...], ...] = (
    (1, 2, 3, 4),
    (10, 500, 33, 7, 800, 21),
    tuple(range(100, 164)),
)
GREEDY_TOKENS, SAMPLED_TOKENS = 64, 128
_SAMPLED = Sampling(temperature=1.0, top_p=0.95, top_k=50)
# Concurrency, requests, tokens of each: the rows of sglang#23581's table.
LOADS = ((1, 1, 512), (4, 16, 256), (8, 32, 256))
_WARM_UP_TOKENS = 16


@dataclass(frozen=True)
class Load:
    """Requests sent by `concurrency` clients; `tokens` were made in `seconds`."""

    concurrency: int
    requests: int
    tokens: int
    seconds: float

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds


@dataclass(frozen=True)
class Answers:
    """What one server answered; greedy, again and batch are of the same prompts."""

    greedy: tuple[Generation, ...]
    again: tuple[Generation, ...]
    batch: tuple[Generation, ...]
    sampled: tuple[Generation, ...]
    loads: tuple[Load, ...]


def converse(client: Client) -> Answers:
    """Send everything, in this order. Raises RequestFailed."""
    return Answers(
        greedy=_one_by_one(client),
        again=_one_by_one(client),
        batch=client.generate_batch(PROMPTS, GREEDY_TOKENS),
        sampled=tuple(client.generate(PROMPTS[0], SAMPLED_TOKENS, _SAMPLED) for _ in range(2)),
        loads=tuple(_load(client, *load) for load in LOADS),
    )


def _one_by_one(client: Client) -> tuple[Generation, ...]:
    return tuple(client.generate(prompt, GREEDY_TOKENS) for prompt in PROMPTS)


def _load(client: Client, concurrency: int, requests: int, tokens: int) -> Load:
    with ThreadPoolExecutor(concurrency) as clients:
        _send(client, clients, concurrency, _WARM_UP_TOKENS)
        started = time.perf_counter()
        made = _send(client, clients, requests, tokens)
        return Load(concurrency, requests, sum(made), time.perf_counter() - started)


def _send(client: Client, clients: ThreadPoolExecutor, requests: int, tokens: int) -> Sequence[int]:
    def ask(number: int) -> int:
        prompt = [(number * 37 + position) % 1000 for position in range(16)]
        return len(client.generate(prompt, tokens, logprobs=False).tokens)

    return list(clients.map(ask, range(requests)))
