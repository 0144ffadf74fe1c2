"""The model's split over ranks, its prompts, and the State that the kernels read."""

from __future__ import annotations

import pytest

from graph_probe import model, state
from graph_probe.exit_codes import ProbeError


@pytest.mark.parametrize("ranks", [*range(1, 9), 12, 64])
def test_the_shares_of_any_number_of_ranks_cover_all_columns_once(ranks: int) -> None:
    shares = [model.share_of(rank, ranks) for rank in range(ranks)]
    columns = [c for share in shares for c in range(share.first_column, share.end_column)]
    inner = [c for share in shares for c in range(share.first_inner, share.end_inner)]
    assert columns == list(range(model.HIDDEN))
    assert inner == list(range(model.FFN))


@pytest.mark.parametrize("ranks", range(1, 9))
def test_no_head_is_cut_in_two_and_none_of_eight_ranks_is_idle(ranks: int) -> None:
    for rank in range(ranks):
        share = model.share_of(rank, ranks)
        assert share.first_column % model.HEAD_SIZE == 0
        assert share.end_column > share.first_column


def test_rows_start_from_different_tokens_and_rounds_too() -> None:
    first, second = model.prompt(8), model.prompt(8, 1)
    assert len(set(first)) == 8
    assert all(a != b for a, b in zip(first, second, strict=True))


def test_every_rank_launches_the_same_kernels_in_the_same_order() -> None:
    programs = {
        tuple(step.kernel for step in model.decode_step(4, model.share_of(rank, 12)))
        for rank in range(12)
    }
    assert len(programs) == 1


def test_each_step_of_the_model_names_a_kernel_of_the_source() -> None:
    steps = model.decode_step(1, model.share_of(0, 1))
    assert {step.kernel for step in steps} <= set(state.kernel_names())


def test_the_weights_lead_the_state_in_the_order_of_the_model() -> None:
    assert list(state.member_names()[: len(model.WEIGHTS)]) == list(model.WEIGHTS)


def test_a_packed_state_holds_each_value_at_the_place_of_its_member() -> None:
    packed = state.pack({"rank": 3, "positions": 99})
    names = state.member_names()
    assert len(packed) == len(names)
    assert (packed[names.index("rank")], packed[names.index("positions")]) == (3, 99)
    assert sum(packed) == 102


def test_a_member_that_the_kernels_do_not_know_is_refused() -> None:
    with pytest.raises(ProbeError, match="no member nonsense"):
        state.pack({"nonsense": 1})
