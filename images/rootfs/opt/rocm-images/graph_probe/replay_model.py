"""What the nodes of the replay cases compute, as kernels.cpp has it, on lists of 32-bit words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

_MASK = 0xFFFFFFFF

Words = list[int]


def mixed(x: int, by: int) -> int:
    """One word mixed with another, as `mixed` of kernels.cpp."""
    x ^= by & _MASK
    x = x * 0x9E3779B1 & _MASK
    x ^= x >> 15
    x = x * 0x85EBCA77 & _MASK
    return x ^ x >> 13


def mix(values: Sequence[int], by: int) -> Words:
    """k_mix."""
    return [mixed(value, by + place) for place, value in enumerate(values)]


def mix_two(first: Sequence[int], second: Sequence[int]) -> Words:
    """k_mix_two."""
    return [mixed(one, other) for one, other in zip(first, second, strict=True)]


@lru_cache
def _made(rounds: int) -> int:
    made = 1
    for number in range(rounds):
        made = mixed(made, number)
    return made


def work(values: Sequence[int], rounds: int) -> Words:
    """k_work."""
    return [mixed(value, _made(rounds)) for value in values]
