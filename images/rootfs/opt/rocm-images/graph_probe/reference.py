"""The same transformer on the host in float64: what the devices' tokens are checked against."""

from __future__ import annotations

import math
from operator import mul
from typing import NamedTuple

from graph_probe import model

# Closer than this, float32 may choose the other token, and the two streams part from there.
NEAR_TIE = 1e-3

_MASK = 0xFFFFFFFF
Vector = list[float]


class Row(NamedTuple):
    """The tokens that follow one start token, up to the first near tie."""

    start: int
    tokens: list[int]


def noise(index: int, seed: int) -> float:
    """The kernels' noise(), in [-1, 1); exact in both precisions."""
    h = (index * 2654435761 + seed * 2246822519 + 3266489917) & _MASK
    h ^= h >> 16
    h = h * 0x7FEB352D & _MASK
    h ^= h >> 15
    h = h * 0x846CA68B & _MASK
    h ^= h >> 16
    return (h >> 8) / 8388608.0 - 1.0


def _dot(a: Vector, b: Vector) -> float:
    return float(sum(map(mul, a, b)))


def _normalised(x: Vector) -> Vector:
    scale = 1.0 / math.sqrt(_dot(x, x) / len(x) + 1e-5)
    return [value * scale for value in x]


class Reference:
    """The model's weights on the host, for up to `positions` steps."""

    def __init__(self, positions: int) -> None:
        self.positions = positions
        self._embedding = self._rows("embedding", model.VOCABULARY)
        self._positional = self._rows("positional", positions)
        self._head = self._rows("head", model.VOCABULARY)
        self._projections = [self._matrices(name, model.HIDDEN) for name in ("wq", "wk", "wv")]
        self._wo = self._matrices("wo", model.HIDDEN)
        self._w1 = self._matrices("w1", model.FFN)
        self._w2 = self._matrices("w2", model.HIDDEN)

    @staticmethod
    def _values(name: str, first: int, count: int) -> Vector:
        seed = list(model.WEIGHTS).index(name)
        scale = 1.0 if seed < 3 else 0.2
        return [noise(i, seed) * scale for i in range(first, first + count)]

    def _rows(self, name: str, count: int) -> list[Vector]:
        width = model.HIDDEN
        return [self._values(name, row * width, width) for row in range(count)]

    def _matrices(self, name: str, columns: int) -> list[list[Vector]]:
        """By layer, the columns of the matrix: what an output element is the dot product with."""
        size = model.WEIGHTS[name] // model.LAYERS
        layers = [self._values(name, layer * size, size) for layer in range(model.LAYERS)]
        return [[flat[column::columns] for column in range(columns)] for flat in layers]

    def decode(self, start: int, steps: int) -> Row:
        """Greedy decoding of one row from `start`, at most `steps` tokens."""
        if steps > self.positions:
            raise ValueError(f"{steps} steps do not fit in {self.positions} positions")
        keys: list[list[Vector]] = [[] for _ in range(model.LAYERS)]
        values: list[list[Vector]] = [[] for _ in range(model.LAYERS)]
        token, tokens = start, []
        for position in range(steps):
            logits = self._logits(token, position, keys, values)
            second, first = sorted(logits)[-2:]
            if first - second < NEAR_TIE:
                break
            token = logits.index(first)
            tokens.append(token)
        return Row(start, tokens)

    def _logits(
        self, token: int, position: int, keys: list[list[Vector]], values: list[list[Vector]]
    ) -> Vector:
        x = [a + b for a, b in zip(self._embedding[token], self._positional[position], strict=True)]
        for layer in range(model.LAYERS):
            n = _normalised(x)
            q, k, v = ([_dot(n, w) for w in matrix[layer]] for matrix in self._projections)
            keys[layer].append(k)
            values[layer].append(v)
            attended = _attend(q, keys[layer], values[layer])
            x = [a + _dot(attended, w) for a, w in zip(x, self._wo[layer], strict=True)]
            n = _normalised(x)
            inner = [s / (1.0 + math.exp(-s)) for s in (_dot(n, w) for w in self._w1[layer])]
            x = [a + _dot(inner, w) for a, w in zip(x, self._w2[layer], strict=True)]
        n = _normalised(x)
        return [_dot(n, row) for row in self._head]


def _attend(query: Vector, keys: list[Vector], values: list[Vector]) -> Vector:
    attended: Vector = []
    root = math.sqrt(model.HEAD_SIZE)
    for start in range(0, model.HIDDEN, model.HEAD_SIZE):
        head = slice(start, start + model.HEAD_SIZE)
        q = query[head]
        scores = [_dot(q, key[head]) / root for key in keys]
        top = max(scores)
        weights = [math.exp(score - top) for score in scores]
        total = sum(weights)
        attended += [
            _dot(weights, list(column)) / total
            for column in zip(*(value[head] for value in values), strict=True)
        ]
    return attended
