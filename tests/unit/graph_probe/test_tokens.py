"""The comparison of tokens: each kind of difference is found and named."""

from __future__ import annotations

from graph_probe.allreduce import Wait, block_bytes, data_offset, timeout_sentence
from graph_probe.decode import BatchRun, Passes
from graph_probe.tokens import check_batch, compare_passes

ROW = [5, 6, 7, 8]
OTHER = [5, 6, 9, 8]


def passes(eager: list[list[list[int]]], replay: list[list[list[int]]]) -> Passes:
    return Passes(eager, replay, 1.0, 1.0)


def test_equal_tokens_on_every_rank_have_no_problem() -> None:
    assert compare_passes(1, passes([[ROW], [ROW]], [[ROW], [ROW]])) is None


def test_a_replay_that_differs_from_eager_names_batch_row_step_and_rank() -> None:
    problem = compare_passes(2, passes([[ROW, ROW]] * 2, [[ROW, ROW], [ROW, OTHER]]))
    assert problem == ("Batch 2, row 1, step 2, rank 1: replay gave token 9 where eager gave 7.")


def test_ranks_that_disagree_in_eager_and_replay_alike_are_found() -> None:
    both = [[ROW], [OTHER]]
    problem = compare_passes(1, passes(both, both))
    assert problem == "Batch 1, row 0, step 2: rank 1 has token 9 where rank 0 has 7."


def test_devices_that_agree_on_what_the_host_does_not_give_are_found() -> None:
    same = passes([[ROW]], [[ROW]])
    check = check_batch(BatchRun(1, same, same), {3: OTHER}, [3])
    assert check.problem is not None
    assert "token 7, the float64 reference on the host gives 9" in check.problem


def test_a_difference_in_the_rehearsal_alone_is_found() -> None:
    same, differing = passes([[ROW]], [[ROW]]), passes([[ROW]], [[OTHER]])
    assert check_batch(BatchRun(1, differing, same), {3: ROW}, [3]).problem is not None


def test_what_was_compared_is_counted_and_a_short_reference_ends_its_row() -> None:
    same = passes([[ROW, ROW]] * 2, [[ROW, ROW]] * 2)
    check = check_batch(BatchRun(2, same, same), {3: ROW[:2], 4: ROW}, [3, 4])
    assert check.problem is None
    assert check.tokens_checked == 2 * 2 * 2 * 4
    assert check.reference_checked == 2 + 4
    assert check.distinct_tokens == 4


def test_rows_beyond_the_reference_are_still_compared_with_eager() -> None:
    replay = passes([[ROW, ROW]], [[ROW, OTHER]])
    assert check_batch(BatchRun(2, replay, replay), {3: ROW}, [3, 4]).problem is not None


def test_a_timeout_names_who_waits_for_whom() -> None:
    waits = [Wait(0, 3, 49), Wait(1, 3, 49), Wait(2, 0, 50)]
    assert timeout_sentence(waits, "replay, batch 1") == (
        "An all-reduce timed out (replay, batch 1): ranks 0, 1 wait for rank 3 in all-reduce 49; "
        "rank 2 waits for rank 0 in all-reduce 50."
    )


def test_the_flags_of_64_ranks_end_before_the_data_begins() -> None:
    last_flag_byte = (64 + 63 * 32) * 4 + 4
    assert last_flag_byte <= data_offset(64)
    assert block_bytes(2, 8) == data_offset(2) + 2 * 8 * 64 * 4
