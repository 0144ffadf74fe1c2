"""One object stops and undoes everything; what it holds cannot slip away while it is made."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from made_up_programs import Silent, stopped_while_it_runs
from rocm_images.pool import Threads
from rocm_images.streams import TookTooLong
from rocm_images.supervisor import Stopped, Supervisor
from rocm_images.threads import all_ended


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[Silent]:
    found = Silent(tmp_path, "silent")
    yield found
    found.close()


def test_a_child_whose_owner_fails_is_ended_with_all_that_it_started(silent: Silent) -> None:
    def own() -> None:
        with Supervisor().child([silent.path]):
            assert silent.says() == "begun\n"
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        own()
    assert silent.says() == ""


def test_what_it_answered_is_kept_apart_and_whole() -> None:
    script = (
        "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read() + b'\\xff'); sys.exit('no')"
    )
    answer = Supervisor().run([sys.executable, "-c", script], seconds=60, given=b"yes")
    assert (answer.status, answer.content, answer.errors) == (1, b"yes\xff", "no\n")
    assert answer.output == "yes\N{REPLACEMENT CHARACTER}"


def test_one_that_takes_too_long_is_killed_and_so_is_what_it_started(silent: Silent) -> None:
    with pytest.raises(TookTooLong, match=r"no answer within 0\.5 s"):
        Supervisor().run([silent.path], seconds=0.5)
    while silent.says():
        pass


def test_after_it_was_stopped_nothing_begins(silent: Silent) -> None:
    supervisor = Supervisor()
    supervisor.stop()
    with pytest.raises(Stopped):
        supervisor.run([silent.path], seconds=60)
    with pytest.raises(Stopped), supervisor.undone(lambda: None, lambda: None):
        pytest.fail("it began")


def test_a_child_that_was_stopped_gave_no_answer(silent: Silent) -> None:
    assert stopped_while_it_runs(Supervisor(), [str(silent.path)], silent) == ["Stopped"]
    assert silent.says() == ""


def test_a_child_is_asked_to_end_once_though_both_its_owner_and_the_run_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rocm_images.supervisor.GRACE_SECONDS", 0.5)
    child, supervisor = Silent(tmp_path, "child", "echo asked >&3"), Supervisor()
    stopping = threading.Thread(target=supervisor.stop)

    def own() -> None:
        with supervisor.child([child.path]):
            assert child.says() == "begun\n"
            stopping.start()
            assert child.says() == "asked\n"
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        own()
    stopping.join()
    assert child.says() == ""
    child.close()


@pytest.mark.parametrize("fails", [True, False])
def test_what_was_done_is_undone_with_its_block(fails: bool) -> None:
    there: list[str] = []
    supervisor = Supervisor()

    def use() -> None:
        with supervisor.undone(lambda: there.append("x"), there.clear):
            assert there == ["x"]
            if fails:
                raise OSError("full")

    if fails:
        with pytest.raises(OSError, match="full"):
            use()
    else:
        use()
    assert there == []


@pytest.mark.parametrize("fails", [True, False])
def test_what_cannot_be_undone_hides_no_failure_and_is_tried_again(fails: bool) -> None:
    tried: list[str] = []
    supervisor = Supervisor()

    def undo() -> None:
        tried.append("x")
        raise OSError("no engine")

    def use() -> None:
        with supervisor.undone(lambda: None, undo):
            if fails:
                raise ValueError("a failure")

    with pytest.raises(ValueError if fails else OSError, match="a failure" if fails else "no eng"):
        use()
    supervisor.stop()
    assert tried == ["x", "x"]


def test_what_is_being_done_when_the_run_ends_is_undone_when_it_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rocm_images.supervisor.UNDO_SECONDS", 120)
    there: list[str] = []
    supervisor = Supervisor()
    begun, go_on = threading.Event(), threading.Event()
    made, over = threading.Event(), threading.Event()

    def do() -> None:
        begun.set()
        go_on.wait(60)
        there.append("x")

    def use() -> None:
        with supervisor.undone(do, there.clear):
            made.set()
            over.wait(60)

    using = threading.Thread(target=use)
    using.start()
    assert begun.wait(60)
    stopping = threading.Thread(target=supervisor.stop)
    stopping.start()
    # Whoever does not wait for what is being done undoes it by now.
    stopping.join(0.2)
    go_on.set()
    stopping.join()
    assert supervisor.stopping
    # Its block has not ended: it is the end of the run that undid it.
    assert made.wait(60)
    assert there == []
    over.set()
    using.join()


def test_whoever_stops_second_waits_for_the_first() -> None:
    supervisor = Supervisor()
    undoing, go_on = threading.Event(), threading.Event()
    order: list[str] = []

    def undo() -> None:
        undoing.set()
        go_on.wait(60)
        order.append("undone")

    def stop() -> None:
        supervisor.stop()
        order.append("stopped")

    with supervisor.undone(lambda: None, undo):
        threads = [threading.Thread(target=stop) for _ in range(2)]
        threads[0].start()
        undoing.wait(60)
        threads[1].start()
        go_on.set()
        for thread in threads:
            thread.join()
        assert order == ["undone", "stopped", "stopped"]


def test_a_pool_that_is_interrupted_waits_for_nobody_and_begins_nothing_more() -> None:
    begun: list[int] = []
    first, go_on = threading.Event(), threading.Event()

    def work(number: int) -> None:
        begun.append(number)
        first.set()
        go_on.wait(60)

    def interrupted() -> None:
        with Threads(1) as pool:
            pool.map(work, range(5))
            first.wait(60)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not all_ended(0.0)
    go_on.set()
    assert all_ended(60.0)
    assert begun == [0]


def test_a_pool_that_fails_otherwise_ends_what_it_has() -> None:
    done: list[int] = []

    def failing() -> None:
        with Threads(1) as pool:
            pool.map(done.append, range(5))
            raise ValueError("odd")

    with pytest.raises(ValueError, match="odd"):
        failing()
    assert done == [*range(5)]


def test_each_line_of_a_child_is_told_at_once_masked_and_kept_as_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "end")
    heard: list[str] = []

    def told(line: str) -> None:
        heard.append(line)
        if line == "ready":
            (tmp_path / "end").write_text("now\n")

    script = (
        "printf 'https://u:secret@example.org/a\\n1%%\\r2%%\\nready\\n'; "
        f"read end < {tmp_path}/end; echo no >&2; exit 3"
    )
    answer = Supervisor().run(["sh", "-c", script], seconds=60, on_line=told)
    assert heard == ["https://***@example.org/a", "2%", "ready", "no"]
    assert answer.status == 3
    assert answer.output == "https://u:secret@example.org/a\n1%\r2%\nready\n"
    assert answer.errors == "no\n"


@pytest.mark.parametrize("holds", ["", "exec > /dev/null 2>&1"])
def test_one_whose_lines_are_told_is_given_up_in_its_time_too(silent: Silent, holds: str) -> None:
    script = f"{silent.path} & {holds}\nwait"
    with pytest.raises(TookTooLong, match=r"no answer within 0\.5 s"):
        Supervisor().run(["sh", "-c", script], seconds=0.5, on_line=lambda line: None)
    while silent.says():
        pass
