"""Carries out one replay case in this process: captures, launches behind work, compares."""

from __future__ import annotations

from graph_probe import replay_model as model
from graph_probe.replay_cases import CASES, ReplaySeen, Wrong
from graph_probe.replay_scenes import SCENES
from graph_probe.replay_stage import COUNT, ROUNDS, Stage

REPLAYS = 8
CASE_SECONDS = 15
"""A case takes less than one; what takes so long does not come back."""
_WORKS = 3


def observe(stage: Stage, number: int, other_streams: int) -> ReplaySeen:
    """Captures case `number` and replays it. Raises ProbeError where a call fails."""
    case = CASES[number]
    launch_stream, source = stage.stream(), stage.buffer()
    scene = SCENES[case.name](stage, launch_stream, source)
    values, wrong, first = [0] * COUNT, 0, None
    for replay in range(1, REPLAYS + 1):
        if case.crowded:
            stage.crowd()
        for _ in range(_WORKS):
            stage.work(launch_stream, source)
            values = model.work(values, ROUNDS)
        for graph in scene.graphs:
            stage.runtime.check("GraphLaunch", graph, launch_stream)
        expected = [word for _, made in scene.results for word in made(values)]
        read = stage.read(launch_stream, [buffer for buffer, _ in scene.results])
        found = [word for words in read for word in words]
        differing = [pair for pair in zip(found, expected, strict=True) if pair[0] != pair[1]]
        wrong += bool(differing)
        if differing and first is None:
            first = Wrong(replay, *differing[0])
    return ReplaySeen(number, other_streams, REPLAYS, wrong, first)
