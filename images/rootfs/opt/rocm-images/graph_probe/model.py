"""The tiny transformer's shape: sizes, weights, prompts, shares of a rank, launches of one step."""

from __future__ import annotations

from typing import NamedTuple

HIDDEN = 64
HEADS = 8
HEAD_SIZE = HIDDEN // HEADS
FFN = 128
LAYERS = 2
VOCABULARY = 96
MAXIMUM_RANKS = 64
MAXIMUM_STEPS = 4096
MAXIMUM_BATCH = 256

# name -> elements for one position of `positional`, else in all; the order is State's.
WEIGHTS: dict[str, int] = {
    "embedding": VOCABULARY * HIDDEN,
    "positional": HIDDEN,
    "head": VOCABULARY * HIDDEN,
    "wq": LAYERS * HIDDEN * HIDDEN,
    "wk": LAYERS * HIDDEN * HIDDEN,
    "wv": LAYERS * HIDDEN * HIDDEN,
    "wo": LAYERS * HIDDEN * HIDDEN,
    "w1": LAYERS * HIDDEN * FFN,
    "w2": LAYERS * FFN * HIDDEN,
}


class Shape(NamedTuple):
    """What a run may ask of the model's memory."""

    batch_capacity: int
    positions: int


class Share(NamedTuple):
    """The columns of one rank: of the heads, and of the feed-forward layer. May be empty."""

    first_column: int
    end_column: int
    first_inner: int
    end_inner: int


class Step(NamedTuple):
    """One launch of a decode step."""

    kernel: str
    threads: int
    layer: int


def share_of(rank: int, ranks: int) -> Share:
    """Splits whole heads and single feed-forward columns as evenly as they go.

    Ranks beyond the heads get none and take part in every all-reduce with zeros, so any number
    of ranks up to MAXIMUM_RANKS gives the same sums.
    """
    return Share(
        HEADS * rank // ranks * HEAD_SIZE,
        HEADS * (rank + 1) // ranks * HEAD_SIZE,
        FFN * rank // ranks,
        FFN * (rank + 1) // ranks,
    )


def prompt(rows: int, round_number: int = 0) -> list[int]:
    """The token each row starts from; rows and rounds differ, so no row can stand for another."""
    return [(7 * row + 10 + 41 * round_number) % VOCABULARY for row in range(rows)]


def decode_step(batch: int, share: Share) -> list[Step]:
    """The launches of one decode step of one rank, in order; the all-reduce is two of them."""
    columns = share.end_column - share.first_column
    inner = share.end_inner - share.first_inner
    elements = batch * HIDDEN
    steps = [Step("k_embed", elements, 0)]
    for layer in range(LAYERS):
        steps += [
            Step("k_project", batch * 3 * columns, layer),
            Step("k_attend", batch * columns, layer),
            Step("k_merge_heads", elements, layer),
            Step("k_barrier", 1, layer),
            Step("k_reduce", elements, layer),
            Step("k_expand", batch * inner, layer),
            Step("k_contract", elements, layer),
            Step("k_barrier", 1, layer),
            Step("k_reduce", elements, layer),
        ]
    return [
        *steps,
        Step("k_logits", batch * VOCABULARY, 0),
        Step("k_sample", batch, 0),
        Step("k_advance", 1, 0),
    ]
