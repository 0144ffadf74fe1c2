"""Every raw log is judged as what it was, and no log, however broken, makes the judge raise."""

from __future__ import annotations

import random
import re

import pytest

import make_rocm_logs
from raw_logs import MADE_UP, log_names, read_log
from rocm_images.matrix.schema import Matrix
from serve_probe.judge import judge
from serve_probe.server_log import ServerLog
from serve_probe.verdict import Ending, State

STOPPED, ENDED = Ending(-9, stopped=True), Ending(-9)
INVALIDATED = State.CAPTURE_INVALIDATED
Expected = tuple[State, "str | None", "int | None", "int | None"]

# State, phase, size, rank. Names are those of the runs that wrote the logs.
EXPECTED: dict[str, Expected] = {
    "ctl_query_relaxed": (State.READY, None, None, None),
    "fail_abort_capture": (State.ABORTED_IN_CAPTURE, "decode", None, 0),
    "fail_abort_running": (State.ABORTED_DECODING, None, None, 0),
    "fail_kill_capture": (State.KILLED, "decode", None, 0),
    "fail_oom": (State.OUT_OF_MEMORY, None, None, None),
    "fail_query_100ms": (INVALIDATED, "decode", 64, None),
    "fail_query_decode": (INVALIDATED, "decode", 256, None),
    "fail_query_default": (INVALIDATED, "prefill", 7680, None),
    "fail_sync_decode": (INVALIDATED, "decode", 256, None),
    "fail_tp2_rank1_query": (INVALIDATED, "decode", 248, 1),
    "tp1_eager_dummy": (State.READY, None, None, None),
    "tp1_eager_rand": (State.READY, None, None, None),
    "tp1_eager_rand_nr": (State.READY, None, None, None),
    # A package that had been left out: no failure of the GPU, and not to be called one.
    "tp1_graph_dummy": (State.UNKNOWN, None, None, None),
    "tp1_graph_rand": (State.READY, None, None, None),
    "tp1_graph_rand_nr": (State.READY, None, None, None),
    "tp2_eager_rand": (State.READY, None, None, None),
    "tp2_graph_dummy": (State.READY, None, None, None),
    "tp2_graph_rand": (State.READY, None, None, None),
    "tp2_nccl_rand": (State.READY, None, None, None),
    "tp2_v1ar_rand": (State.READY, None, None, None),
    # Of our own runs.
    "provoke_abort_in_capture": (State.ABORTED_IN_CAPTURE, "decode", 240, 0),
    "provoke_hang_in_capture": (State.HUNG, "decode", 240, None),
    "no_memory_for_context": (State.OUT_OF_MEMORY, None, None, None),
    "provoke_kill_decoding": (State.KILLED, None, None, 0),
    "provoke_out_of_memory_in_capture": (State.OUT_OF_MEMORY, "decode", 240, None),
    "tp2_race": (State.READY, None, None, None),
    # Made up.
    "rocm_invalidated_decode": (INVALIDATED, "decode", 256, None),
    "rocm_invalidated_prefill": (INVALIDATED, "prefill", 7680, None),
    "rocm_invalidated_rank1": (INVALIDATED, "decode", 248, 1),
    "rocm_watchdog_captured_event": (INVALIDATED, "decode", 248, 1),
    "rocm_out_of_memory": (State.OUT_OF_MEMORY, None, None, None),
    "rocm_abort_capture": (State.ABORTED_IN_CAPTURE, "decode", None, 0),
    "rocm_exception_0x1016": (State.ABORTED_DECODING, None, None, 0),
    "rocm_memory_fault": (State.ABORTED_DECODING, None, None, 0),
    "rocm_ready_aiter": (State.READY, None, None, None),
    "rocm_ready_sglang": (State.READY, None, None, None),
}


def ending_of(name: str) -> Ending:
    if EXPECTED[name][0] is State.HUNG:
        return Ending(None, overdue=True)
    return ENDED if EXPECTED[name][0] is not State.READY else STOPPED


def test_every_log_has_an_expected_verdict() -> None:
    assert set(log_names()) == set(EXPECTED)


@pytest.mark.parametrize("name", log_names())
def test_a_log_is_judged_as_what_it_was(name: str) -> None:
    verdict = judge(read_log(name), ending_of(name))
    assert (verdict.state, verdict.phase, verdict.size, verdict.rank) == EXPECTED[name]
    assert verdict.sentence.endswith((".", verdict.line))


@pytest.mark.parametrize("name", log_names())
def test_the_launchers_exit_status_does_not_change_what_a_failure_is_called(name: str) -> None:
    if EXPECTED[name][0] is State.READY:
        assert judge(read_log(name), Ending(0, stopped=True)).state is State.READY
    elif EXPECTED[name][0] is State.HUNG:
        assert judge(read_log(name), Ending(-9, overdue=True)).state is State.HUNG
    else:
        assert judge(read_log(name), Ending(1)).state is EXPECTED[name][0]


@pytest.mark.parametrize("name", log_names())
def test_line_ends_of_another_kind_change_nothing(name: str) -> None:
    text = read_log(name)
    for changed in (text.replace("\r", "\n"), re.sub(r"(?<!\r)\n", "\r\n", text)):
        assert judge(changed, ending_of(name)) == judge(text, ending_of(name))


@pytest.mark.parametrize("name", [n for n, e in EXPECTED.items() if e[0] is not State.READY])
def test_a_failure_is_never_called_ready_however_its_log_is_cut(name: str) -> None:
    lines = read_log(name).splitlines(keepends=True)
    for kept in range(0, len(lines), 7):
        ending = Ending(-9, overdue=True)
        assert judge("".join(lines[:kept]), ending).state is not State.READY


def test_advisories_of_verdicts_are_those_of_the_matrix(project_matrix: Matrix) -> None:
    known = {advisory.id for advisory in project_matrix.advisories}
    named = {
        advisory
        for name in log_names()
        for advisory in judge(read_log(name), ending_of(name)).advisories
    }
    named |= set(judge("", Ending(None, overdue=True)).advisories)
    assert named <= known
    assert {"hip-event-query", "ar-exit-barrier", "aiter-allgather", "ipc-leak"} <= named


@pytest.mark.parametrize(
    ("text", "ending", "state"),
    [
        ("", Ending(None, overdue=True), State.HUNG),
        ("", Ending(1), State.UNKNOWN),
        ("", Ending(-9), State.KILLED),
        ("The server is fired up and ready to roll!", Ending(None), State.READY),
        ("The server is fired up and ready to roll!", Ending(0), State.UNKNOWN),
        ("The server is fired up and ready to roll!", Ending(None, overdue=True), State.HUNG),
        ("torch.AcceleratorError: HIP error: out of memory", Ending(-9), State.OUT_OF_MEMORY),
        # SGLang advises this, and names the OOM killer, whatever went wrong.
        ("1. set --mem-fraction-static to a smaller value", Ending(1), State.UNKNOWN),
        ("a common cause is the OS OOM killer", Ending(1), State.UNKNOWN),
        ("Rank 3 scheduler died during initialization (exit code: -11)", Ending(1), State.UNKNOWN),
    ],
)
def test_what_no_raw_log_shows_is_judged_too(text: str, ending: Ending, state: State) -> None:
    assert judge(text, ending).state is state


def test_memory_that_runs_out_inside_a_capture_is_called_that_and_not_the_broken_capture() -> None:
    # The graph that is thrown away then is warned of in the words of a forbidden call.
    text = read_log("provoke_out_of_memory_in_capture")
    assert "operation not permitted when stream is capturing" in text
    assert judge(text, ENDED).state is State.OUT_OF_MEMORY
    broken = read_log("fail_query_decode") + "\ntorch.OutOfMemoryError: CUDA out of memory."
    assert judge(broken, ENDED).state is INVALIDATED


def test_another_exception_inside_a_capture_is_not_called_an_invalidated_capture() -> None:
    text = read_log("provoke_out_of_memory_in_capture")
    other = re.sub(r"(torch\.OutOfMemoryError: )?CUDA out of memory\. Tried", "ValueError: x", text)
    assert judge(other, ENDED).state is State.UNKNOWN


@pytest.mark.parametrize("name", log_names())
def test_no_mutation_of_a_log_raises(name: str) -> None:
    # Seeded: a failure can be repeated. Lines dropped, doubled, cut, shuffled, mixed with another
    # log's, joined by carriage returns; bytes changed.
    source = random.Random(name)
    lines = [line[:600] for line in read_log(name).splitlines()]
    other = [line[:600] for line in read_log(source.choice(log_names())).splitlines()]
    for _ in range(12):
        changed = [line for line in lines if source.random() > 0.1]
        changed += source.choices(lines, k=5)
        for position in source.choices(range(len(changed)), k=8):
            changed[position] = changed[position][source.randrange(40) :]
        for line in source.choices(other, k=20):
            changed.insert(source.randrange(len(changed)), line)
        if source.random() < 0.3:
            source.shuffle(changed)
        text = "".join(line + source.choice(["\n", "\r", "\r\n", ""]) for line in changed)
        characters = list(text)
        for position in source.choices(range(len(characters)), k=200):
            characters[position] = chr(source.choice([0, 9, 13, 27, 40, 91, 93, 57, 45, 0xFFFD]))
        for mutated in (text, "".join(characters)):
            for ending in (STOPPED, ENDED, Ending(None, overdue=True)):
                verdict = judge(mutated, ending)
                assert verdict.sentence
            found = ServerLog(mutated)
            assert len(found.captures) <= len(found.lines)
            assert found.all_reduce in (None, "aiter", "nccl", "sglang", "sglang-v2")
            assert min(found.decoded_with_graph) >= 0


def test_made_up_logs_say_that_they_are_and_are_what_the_script_makes() -> None:
    made = make_rocm_logs.made()
    assert {path.stem for path in MADE_UP.glob("*.log")} == set(made)
    for name, text in made.items():
        assert "MADE UP" in read_log(name).splitlines()[0]
        assert read_log(name) == make_rocm_logs.MARK + text


@pytest.mark.parametrize(
    ("name", "all_reduce"),
    [
        ("rocm_ready_aiter", "aiter"),
        ("rocm_ready_sglang", "sglang"),
        ("tp2_graph_dummy", "sglang-v2"),
        ("tp1_graph_rand", None),
    ],
)
def test_the_all_reduce_is_read_from_the_log(name: str, all_reduce: str | None) -> None:
    assert ServerLog(read_log(name)).all_reduce == all_reduce


def test_a_watchdogs_exception_is_counted() -> None:
    assert ServerLog(read_log("rocm_watchdog_captured_event")).watchdog_exceptions == 1
    assert ServerLog(read_log("tp2_graph_rand")).watchdog_exceptions == 0


def test_captures_are_read_with_their_sizes_and_seconds_rank_by_rank() -> None:
    found = {(c.phase, c.rank): c for c in ServerLog(read_log("tp2_graph_rand")).captures}
    assert set(found) == {("prefill", 0), ("prefill", 1), ("decode", 0), ("decode", 1)}
    assert len(found["decode", 0].sizes) == 36
    assert (found["prefill", 0].seconds, found["decode", 1].seconds) == (51.31, 1.56)
    assert all(capture.ended for capture in found.values())
