"""Every raw log is judged as what it was, and no log, however broken, makes the judge raise."""

from __future__ import annotations

import random
import re

import pytest
from corpus import CORPUS, ENDED, OVERDUE, RUNNING, STOPPED

import make_rocm_logs
from image_servers import SERVERS, LogLines
from raw_logs import MADE_UP, log_names, read_log
from rocm_images.matrix.schema import Matrix
from serve_probe.causes import causes_of
from serve_probe.judge import judge, judge_log
from serve_probe.server_log import ServerLog
from serve_probe.verdict import Ending, State, Verdict

INVALIDATED = State.CAPTURE_INVALIDATED
FAILURES = [name for name, expected in CORPUS.items() if expected.state is not State.READY]


def judged(name: str) -> Verdict:
    return judge(read_log(name), CORPUS[name].ending)


def test_every_log_has_an_expected_verdict() -> None:
    assert set(log_names()) == set(CORPUS)


@pytest.mark.parametrize("name", log_names())
def test_a_log_is_judged_as_what_it_was(name: str) -> None:
    verdict = judged(name)
    assert not CORPUS[name].differs(verdict)
    assert verdict.sentence.endswith((".", verdict.line))
    for said in (verdict.phase, verdict.size):
        assert said is None or str(said) in verdict.sentence
    assert verdict.rank is None or f"rank {verdict.rank}" in verdict.sentence


@pytest.mark.parametrize("name", log_names())
def test_the_launchers_exit_status_does_not_change_what_a_failure_is_called(name: str) -> None:
    expected = CORPUS[name]
    if expected.state is State.READY:
        others = [Ending(0, stopped=True), Ending(None)]
    elif expected.ending is OVERDUE:
        others = [Ending(-9, overdue=True)]
    else:
        others = [Ending(1), Ending(-9), Ending(None)] if expected.ending is not RUNNING else []
    for ending in others:
        assert not expected.differs(judge(read_log(name), ending))


@pytest.mark.parametrize("name", log_names())
def test_line_ends_of_another_kind_change_nothing(name: str) -> None:
    text = read_log(name)
    for changed in (text.replace("\r", "\n"), re.sub(r"(?<!\r)\n", "\r\n", text)):
        assert judge(changed, CORPUS[name].ending) == judged(name)


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_never_called_ready_however_its_log_is_cut(name: str) -> None:
    lines = read_log(name).splitlines(keepends=True)
    for kept in range(0, len(lines), 7):
        ending = Ending(-9, overdue=True)
        assert judge("".join(lines[:kept]), ending).state is not State.READY


def test_advisories_of_verdicts_are_those_of_the_matrix(project_matrix: Matrix) -> None:
    known = {advisory.id for advisory in project_matrix.advisories}
    named = {advisory for name in log_names() for advisory in judged(name).advisories}
    logs = [server.log for server in SERVERS.values()]
    named |= {name for said in logs for one in causes_of(said) for name in one.advisories}
    named |= {name for said in logs for name in said.advisories}
    assert named <= known
    assert {"hip-event-query", "ar-exit-barrier", "aiter-allgather", "ipc-leak"} <= named


@pytest.mark.parametrize("server", SERVERS)
def test_advisories_of_one_server_alone_reach_no_other(server: str, project_matrix: Matrix) -> None:
    by_id = {advisory.id: advisory.affected for advisory in project_matrix.advisories}
    own = SERVERS[server].log.advisories
    assert own
    for name in own:
        affected = by_id[name]
        assert affected.servers == (server,) or server in affected.sources, name


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
        ("Rank 3 scheduler died during initialization (exit code: -11)", Ending(1), State.CRASHED),
        ("Rank 3 scheduler died during initialization (exit code: -3)", Ending(1), State.UNKNOWN),
        ("", Ending(-11), State.CRASHED),
        ("", Ending(-6), State.CRASHED),
        ("", Ending(-99), State.CRASHED),
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
            # Read once, as most of the time goes there: no ending has a part in it.
            found = ServerLog(mutated)
            for ending in (STOPPED, ENDED, Ending(None, overdue=True)):
                assert judge_log(found, ending).sentence
            assert len(found.captures) <= len(found.lines)
            assert found.all_reduce in {None, *(name for name, _ in found.said.all_reduces)}
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


@pytest.mark.parametrize(
    ("text", "ending", "state"),
    [
        ("up and running", Ending(None), State.READY),
        ("up and running\nFatal Python error: Aborted", Ending(-6), State.ABORTED_DECODING),
        ("Traceback (most recent call last):\nValueError: x", Ending(1), State.UNKNOWN),
        ("torch.OutOfMemoryError: HIP out of memory. Tried", Ending(1), State.OUT_OF_MEMORY),
        ("loading", Ending(None, overdue=True), State.HUNG),
    ],
)
def test_a_server_of_which_only_readiness_is_known(text: str, ending: Ending, state: State) -> None:
    verdict = judge(text, ending, LogLines(title="Made up", ready="up and running"))
    assert verdict.state is state
    assert "{" not in verdict.sentence
