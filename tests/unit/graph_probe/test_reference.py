"""The float64 reference: it must be able to tell a right decode from a wrong one."""

from __future__ import annotations

import pytest

from graph_probe import model
from graph_probe.reference import Reference, noise

STEPS = 64


@pytest.fixture(scope="module")
def rows() -> list[list[int]]:
    reference = Reference(STEPS)
    return [reference.decode(start, STEPS).tokens for start in model.prompt(8)]


def test_no_default_row_meets_a_near_tie(rows: list[list[int]]) -> None:
    assert [len(row) for row in rows] == [STEPS] * 8


def test_every_row_has_many_different_tokens(rows: list[list[int]]) -> None:
    assert all(len(set(row)) >= STEPS // 4 for row in rows)


def test_no_two_rows_are_the_same(rows: list[list[int]]) -> None:
    assert len({tuple(row) for row in rows}) == len(rows)


def test_another_start_token_gives_other_tokens_at_once(rows: list[list[int]]) -> None:
    changed = Reference(8).decode((model.prompt(1)[0] + 1) % model.VOCABULARY, 8).tokens
    assert changed[:4] != rows[0][:4]


def test_a_step_without_its_position_gives_other_tokens(rows: list[list[int]]) -> None:
    reference = Reference(8)
    reference._positional = [reference._positional[0]] * 8
    assert reference.decode(model.prompt(1)[0], 8).tokens[:4] != rows[0][:4]


def test_a_step_without_the_cache_of_the_steps_before_gives_other_tokens(
    rows: list[list[int]],
) -> None:
    reference = Reference(8)
    token, tokens = model.prompt(1)[0], []
    for position in range(8):
        keys: list[list[list[float]]] = [[] for _ in range(model.LAYERS)]
        values: list[list[list[float]]] = [[] for _ in range(model.LAYERS)]
        logits = reference._logits(token, position, keys, values)
        token = logits.index(max(logits))
        tokens.append(token)
    assert tokens != rows[0][:8]


def test_fewer_steps_give_the_beginning_of_the_same_tokens(rows: list[list[int]]) -> None:
    assert Reference(5).decode(model.prompt(1)[0], 5).tokens == rows[0][:5]


def test_more_steps_than_positions_are_refused() -> None:
    with pytest.raises(ValueError, match="6 steps do not fit in 5 positions"):
        Reference(5).decode(3, 6)


def test_noise_is_exact_in_float32_and_within_its_bounds() -> None:
    values = [noise(index, 4) for index in range(2000)]
    assert all(-1.0 <= value < 1.0 and (value * 2**23).is_integer() for value in values)
    assert abs(sum(values) / len(values)) < 0.05
