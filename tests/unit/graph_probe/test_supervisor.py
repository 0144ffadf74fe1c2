"""The supervisor, with real child processes: nothing hangs the caller and nothing outlives it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from graph_probe.channel import Message
from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.supervisor import Child, Ended, Supervisor

SAY = r"""import json, os, signal, subprocess, sys
def say(**message): os.write(FD, json.dumps(message).encode() + b"\n")
"""
# Stuck as in a driver: deaf to SIGTERM, and with a process of its own in the group.
STUCK = (
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "sleeper = subprocess.Popen(['sleep', '1000'])\n"
    "say(kind='phase', text='stuck in a call')\n"
    "say(kind='pids', pids=[os.getpid(), sleeper.pid])\n"
    "while True: signal.pause()\n"
)


def start(supervisor: Supervisor, code: str, name: str = "the child") -> Child:
    reader, writer = os.pipe()
    command = [sys.executable, "-c", SAY.replace("FD", str(writer)) + code]
    return supervisor.start_command(name, command, reader, writer)


def gone(pid: int, seconds: float = 10.0) -> bool:
    """Waits until the process has ended; a zombie has."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Supervisor(tmp_path, 30.0, os.environ) as made:
        yield made


def test_messages_arrive_in_order_and_then_the_end(supervisor: Supervisor) -> None:
    start(supervisor, "say(kind='one'); say(kind='two')")
    heard = [message for _, message in supervisor.messages()]
    assert heard == [{"kind": "one"}, {"kind": "two"}, Ended(0)]


def test_a_message_longer_than_a_pipe_arrives_whole(supervisor: Supervisor) -> None:
    code = "data=json.dumps({'kind':'long','text':'x'*300000}).encode()+b'\\n'\n"
    code += "while data: data=data[os.write(FD, data):]"
    reader, writer = os.pipe()
    command = [sys.executable, "-c", (SAY + code).replace("FD", str(writer))]
    supervisor.start_command("the child", command, reader, writer)
    heard = [message for _, message in supervisor.messages()]
    assert isinstance(heard[0], dict)
    assert len(heard[0]["text"]) == 300000


def test_what_a_library_prints_stays_out_of_the_messages(supervisor: Supervisor) -> None:
    start(supervisor, "print('noise', flush=True); os.write(2, b'noise'); say(kind='one')")
    assert [m for _, m in supervisor.messages()] == [{"kind": "one"}, Ended(0)]


def test_a_child_that_dies_on_a_signal_is_named_with_its_phase_and_its_last_words(
    supervisor: Supervisor,
) -> None:
    code = "say(kind='phase', text='capturing'); print('last words', flush=True)\n"
    start(supervisor, code + "os.kill(os.getpid(), signal.SIGSEGV)", "the decode")
    [(child, ended)] = list(supervisor.messages())
    assert isinstance(ended, Ended)
    assert ended.code is ExitCode.DIED_ON_SIGNAL
    assert "the decode died on SIGSEGV while capturing" in ended.sentence(child)
    assert "last words" in ended.sentence(child)


def test_a_child_that_exits_without_a_result_is_no_pass(supervisor: Supervisor) -> None:
    start(supervisor, "sys.exit(3)")
    [(child, ended)] = list(supervisor.messages())
    assert isinstance(ended, Ended)
    assert ended.code is ExitCode.PROBE_DEFECT
    assert "ended with status 3" in ended.sentence(child)


def test_a_child_is_told_what_it_waits_for(supervisor: Supervisor) -> None:
    child = start(supervisor, "say(kind='echo', got=json.loads(sys.stdin.readline()))")
    child.tell(watchdog=True)
    assert next(supervisor.messages())[1] == {"kind": "echo", "got": {"watchdog": True}}


def test_telling_a_child_that_is_gone_is_no_error(supervisor: Supervisor) -> None:
    child = start(supervisor, "sys.exit(0)")
    assert gone(child.process.pid)
    child.tell(watchdog=True)
    assert [m for _, m in supervisor.messages()] == [Ended(0)]


def test_a_hang_ends_at_the_deadline_with_the_whole_group_killed(tmp_path: Path) -> None:
    pids: list[int] = []
    began = time.monotonic()

    def listen() -> None:
        with Supervisor(tmp_path, 2.0, os.environ) as supervisor:
            start(supervisor, STUCK, "the decode")
            for _, message in supervisor.messages():
                assert isinstance(message, dict)
                pids.extend(message["pids"])

    with pytest.raises(ProbeError) as caught:
        listen()
    assert caught.value.code is ExitCode.HUNG_AND_KILLED
    assert "the decode was still stuck in a call" in caught.value.sentence
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids)
    assert time.monotonic() - began < 8


def test_leaving_early_kills_the_children_and_what_they_started(tmp_path: Path) -> None:
    with Supervisor(tmp_path, 30.0, os.environ) as supervisor:
        start(supervisor, STUCK)
        message = next(supervisor.messages())[1]
        assert isinstance(message, dict)
    assert all(gone(pid) for pid in message["pids"])


def test_what_an_ended_child_left_running_is_killed_at_its_end(supervisor: Supervisor) -> None:
    code = "p = subprocess.Popen(['sleep', '1000'])\nsay(kind='pids', pids=[p.pid])\n"
    start(supervisor, code)
    heard: list[Message | Ended] = [message for _, message in supervisor.messages()]
    assert isinstance(heard[0], dict)
    assert heard[1] == Ended(0)
    assert gone(heard[0]["pids"][0])


DRIVER = """
import json, os, sys
from pathlib import Path
from graph_probe.exit_codes import ProbeError
from graph_probe.supervisor import Supervisor
try:
    with Supervisor(Path(sys.argv[1]), 60.0, os.environ) as supervisor:
        child = supervisor.start("the reference", {"role": "reference", "steps": 4096,
                                                   "starts": list(range(96))})
        print(child.process.pid, flush=True)
        for _ in supervisor.messages():
            pass
except ProbeError as error:
    print(error.sentence, flush=True)
    sys.exit(int(error.code))
"""


@contextlib.contextmanager
def driver(folder: Path, packages: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that supervises a real child of the probe for a long time."""
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(folder)],
        env={**os.environ, "PYTHONPATH": packages},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_a_signal_to_the_supervisor_ends_all_and_is_its_exit_code(
    tmp_path: Path, packages: str, number: signal.Signals, code: int
) -> None:
    with driver(tmp_path, packages) as (process, child):
        process.send_signal(number)
        said, _ = process.communicate(timeout=15)
        assert process.returncode == code
        assert f"Ended by {number.name}" in said
        assert gone(child)


def test_a_supervisor_that_is_killed_takes_its_child_with_it(tmp_path: Path, packages: str) -> None:
    with driver(tmp_path, packages) as (process, child):
        process.kill()
        assert gone(child)


def test_a_child_that_is_started_for_a_parent_already_gone_ends_at_once(packages: str) -> None:
    specification = json.dumps({"role": "reference", "parent": 1 << 22, "descriptor": 1})
    ended = subprocess.run(
        [sys.executable, "-S", "-m", "graph_probe.child", specification],
        env={**os.environ, "PYTHONPATH": packages},
        capture_output=True,
        timeout=30,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
