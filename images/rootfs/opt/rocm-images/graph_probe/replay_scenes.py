"""What each replay case captures, and what must come out of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from graph_probe import replay_model as model
from graph_probe.replay_model import Words
from graph_probe.replay_stage import COUNT, PATTERN, Stage

_POOL_GRAPHS = 4


class Scene(NamedTuple):
    """What a case captured: graphs to launch in this order, and what each result must then be.

    A result is a buffer and a function of what the launch stream's work left in its buffer.
    """

    graphs: list[int]
    results: list[tuple[int, Callable[[Words], Words]]]


def _chain(stage: Stage, stream: int, source: int) -> Scene:
    first, second, result = (stage.buffer() for _ in range(3))

    def nodes() -> None:
        stage.mix(stream, first, source, 9 if stage.sabotaged else 1)
        stage.mix(stream, second, first, 2)
        stage.mix(stream, result, second, 3)

    graph = stage.captured(stream, nodes)
    return Scene([graph], [(result, lambda x: model.mix(model.mix(model.mix(x, 1), 2), 3))])


def _fork(stage: Stage, stream: int, source: int) -> Scene:
    first = stage.buffer()
    return _sides(stage, stream, 3, lambda: stage.mix(stream, first, source, 7), first,
                  lambda x: model.mix(x, 7))  # fmt: skip


def _two_roots(stage: Stage, stream: int, source: int) -> Scene:
    return _sides(stage, stream, 1, lambda: None, source, list)


def _four_roots(stage: Stage, stream: int, source: int) -> Scene:
    return _sides(stage, stream, 3, lambda: None, source, list)


def _sides(
    stage: Stage,
    stream: int,
    count: int,
    before: Callable[[], None],
    source: int,
    given: Callable[[Words], Words],
) -> Scene:
    """The stream and `count` side streams, forked after `before`, each with a node of its own."""
    results = [stage.buffer() for _ in range(count + 1)]
    sides = [stage.stream() for _ in range(count)]
    joined = stage.buffer()

    def nodes() -> None:
        before()
        for side in sides:
            stage.follow(side, stream)
        for by, (on, to) in enumerate(zip([stream, *sides], results, strict=True)):
            stage.mix(on, to, source, by)
        for side in sides:
            stage.follow(stream, side)
        stage.mix_two(stream, joined, results[0], results[-1])

    def after_join(x: Words) -> Words:
        return model.mix_two(model.mix(given(x), 0), model.mix(given(x), count))

    graph = stage.captured(stream, nodes)
    made: list[tuple[int, Callable[[Words], Words]]] = [(joined, after_join)]
    for by, result in enumerate(results):
        made.append((result, lambda x, by=by: model.mix(given(x), by)))  # type: ignore[misc]
    return Scene([graph], made)


def _copy_and_memset_roots(stage: Stage, stream: int, source: int) -> Scene:
    copied, filled, mixed, result = (stage.buffer() for _ in range(4))
    copying, filling = stage.stream(), stage.stream()

    def nodes() -> None:
        stage.follow(copying, stream)
        stage.follow(filling, stream)
        stage.mix(stream, mixed, source, 5)
        stage.copy(copying, copied, source)
        stage.fill(filling, filled)
        stage.mix(filling, filled, filled, 6)
        stage.follow(stream, copying)
        stage.follow(stream, filling)
        stage.mix_two(stream, result, copied, filled)

    graph = stage.captured(stream, nodes)
    return Scene(
        [graph],
        [
            (result, lambda x: model.mix_two(x, model.mix(_pattern(), 6))),
            (mixed, lambda x: model.mix(x, 5)),
        ],
    )


def _memset(stage: Stage, stream: int, source: int) -> Scene:
    filled, result = stage.buffer(), stage.buffer()

    def nodes() -> None:
        stage.fill(stream, filled)
        stage.mix(stream, filled, filled, 4)
        stage.mix_two(stream, result, source, filled)

    graph = stage.captured(stream, nodes)
    expected = model.mix(_pattern(), 4)
    return Scene([graph], [(result, lambda x: model.mix_two(x, expected))])


def _copy(stage: Stage, stream: int, source: int) -> Scene:
    first, second, result = (stage.buffer() for _ in range(3))

    def nodes() -> None:
        stage.copy(stream, first, source)
        stage.mix(stream, second, first, 8)
        stage.copy(stream, result, second)

    return Scene([stage.captured(stream, nodes)], [(result, lambda x: model.mix(x, 8))])


def _pool(stage: Stage, stream: int, source: int) -> Scene:
    """As a server has it: a graph a batch size, all in one memory pool."""
    pool = [stage.buffer() for _ in range(3)]
    side = stage.stream()
    scene = Scene([], [])
    for number in range(_POOL_GRAPHS):
        result = stage.buffer()

        def nodes(by: int = number, to: int = result) -> None:
            stage.mix(stream, pool[0], source, by)
            stage.follow(side, stream)
            stage.mix(stream, pool[1], pool[0], by + 1)
            stage.mix(side, pool[2], pool[0], by + 2)
            stage.follow(stream, side)
            stage.mix_two(stream, to, pool[1], pool[2])

        def expected(x: Words, by: int = number) -> Words:
            first = model.mix(x, by)
            return model.mix_two(model.mix(first, by + 1), model.mix(first, by + 2))

        scene.graphs.append(stage.captured(stream, nodes))
        scene.results.append((result, expected))
    return scene


def _pattern() -> Words:
    return [PATTERN * 0x01010101] * COUNT


SCENES: dict[str, Callable[[Stage, int, int], Scene]] = {
    "chain": _chain,
    "fork": _fork,
    "two-roots": _two_roots,
    "four-roots": _four_roots,
    "copy-and-memset-roots": _copy_and_memset_roots,
    "memset": _memset,
    "copy": _copy,
    "pool": _pool,
}
