"""Checks the decode's tokens: replay against eager, rank against rank, all against float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from graph_probe.decode import BatchRun, Passes

Tokens = Sequence[Sequence[Sequence[int]]]  # [rank][row][step]


class BatchCheck(NamedTuple):
    """One batch size. `tokens_checked`: tokens of replay compared with eager on every rank;
    `reference_checked`: those also compared with the host; `problem`: None or a sentence."""

    batch: int
    tokens_checked: int
    reference_checked: int
    distinct_tokens: int
    problem: str | None


def check_batch(
    run: BatchRun, reference: Mapping[int, Sequence[int]], starts: Sequence[int]
) -> BatchCheck:
    """Compares all tokens of `run`. `reference` maps a start token to the tokens that follow it,
    for the rows and steps that it covers; `starts` are the measured round's start tokens."""
    checked = 0
    problem = None
    for passes in (run.rehearsal, run.measured):
        problem = problem or compare_passes(run.batch, passes)
        checked += sum(len(row) for rank in passes.replay for row in rank)
    compared = 0
    rows = run.measured.replay[0]
    for row, (start, tokens) in enumerate(zip(starts, rows, strict=True)):
        expected = reference.get(start, ())
        for step, (got, wanted) in enumerate(zip(tokens, expected, strict=False)):
            compared += 1
            if got != wanted and problem is None:
                problem = (
                    f"Batch {run.batch}, row {row}, step {step}: the devices gave token {got}, "
                    f"the float64 reference on the host gives {wanted}."
                )
    distinct = len({token for row in rows for token in row})
    return BatchCheck(run.batch, checked, compared, distinct, problem)


def compare_passes(batch: int, passes: Passes) -> str | None:
    """The first difference between replay and eager on a rank, then between ranks; else None."""
    for rank, (eager, replay) in enumerate(zip(passes.eager, passes.replay, strict=True)):
        place = _difference(eager, replay)
        if place:
            row, step = place
            return (
                f"Batch {batch}, row {row}, step {step}, rank {rank}: replay gave token "
                f"{replay[row][step]} where eager gave {eager[row][step]}."
            )
    for rank, replay in enumerate(passes.replay):
        place = _difference(passes.replay[0], replay)
        if place:
            row, step = place
            return (
                f"Batch {batch}, row {row}, step {step}: rank {rank} has token "
                f"{replay[row][step]} where rank 0 has {passes.replay[0][row][step]}."
            )
    return None


def _difference(
    expected: Sequence[Sequence[int]], got: Sequence[Sequence[int]]
) -> tuple[int, int] | None:
    """Row and step of the first difference."""
    for row, (left, right) in enumerate(zip(expected, got, strict=True)):
        for step, (a, b) in enumerate(zip(left, right, strict=True)):
            if a != b:
                return row, step
    return None
