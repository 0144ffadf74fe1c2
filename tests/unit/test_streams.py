"""What a child writes is read to a bound and a deadline, and who is given up is gone with all."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from made_up_programs import PATIENCE, Silent, Starter, stopped_while_it_runs
from rocm_images import streams
from rocm_images import supervisor as supervising
from rocm_images.masking import LONGEST_LINE
from rocm_images.streams import Lines, TookTooLong, TooMuch
from rocm_images.supervisor import Answer, Supervisor

MIB = 1 << 20


def run(script: str, *, seconds: float = PATIENCE, most: int = streams.MOST_BYTES) -> Answer:
    return Supervisor().run(["sh", "-c", script], seconds=seconds, most=most)


def test_an_answer_has_as_many_bytes_as_it_may_and_no_more() -> None:
    assert len(run(f"head -c {MIB} /dev/zero", most=MIB).content) == MIB
    with pytest.raises(TooMuch, match="an answer larger than 1 MiB"):
        run(f"head -c {MIB + 1} /dev/zero", most=MIB)


def test_an_answer_without_an_end_is_left_at_its_bound() -> None:
    with pytest.raises(TooMuch):
        run("exec yes", most=MIB)


def test_a_complaint_may_be_longer_than_an_answer_and_its_end_is_kept() -> None:
    answer = run("head -c 3000000 /dev/zero >&2; echo last >&2; echo yes", most=MIB)
    assert answer.output == "yes\n"
    assert len(answer.complaint) == streams.COMPLAINT_BYTES
    assert answer.complaint.endswith(b"\0last\n")


def test_a_complaint_without_an_end_is_left_at_its_deadline() -> None:
    with pytest.raises(TookTooLong, match=r"no answer within 0\.5 s"):
        run("exec yes >&2", seconds=0.5)


@pytest.mark.parametrize("script", ["exec sleep 600", "exec >&- 2>&-; exec sleep 600"])
def test_a_program_that_does_not_end_is_left(script: str) -> None:
    with pytest.raises(TookTooLong, match=r"no answer within 0\.1 s"):
        run(script, seconds=0.1)


@pytest.mark.parametrize(("script", "read"), [("exec cat", 3 * MIB), ("exec <&-; echo no", 3)])
def test_a_child_is_given_all_that_it_wants(script: str, read: int) -> None:
    # More than a pipe holds: whoever gives it all before it reads waits for ever.
    given = b"x" * (3 * MIB)
    answer = Supervisor().run(["sh", "-c", script], seconds=PATIENCE, given=given)
    assert (answer.status, len(answer.content)) == (0, read)


@pytest.mark.parametrize("beyond", [-1, 0, 1, 7 * LONGEST_LINE])
@pytest.mark.parametrize("end", ["\\nlast", ""])
def test_a_line_is_told_up_to_a_bound_and_the_next_one_is_whole(beyond: int, end: str) -> None:
    script = f"head -c {LONGEST_LINE + beyond} /dev/zero | tr '\\0' x; printf '{end}'"
    kept = "x" * min(LONGEST_LINE, LONGEST_LINE + beyond)
    lines = [kept + (" ... (cut)" if beyond > 0 else ""), *(["last"] if end else [])]
    assert told(script) == lines


@pytest.mark.parametrize("address", ["https://joe:s3cr3tpassw@host/p", "http://u:s3/3tpassw@host"])
@pytest.mark.parametrize("beginning", range(5, 28))
@pytest.mark.parametrize("at_once", [True, False])
def test_no_part_of_a_password_on_either_side_of_a_cut_is_told(
    address: str, beginning: int, at_once: bool
) -> None:
    before, line = LONGEST_LINE - beginning, address + " and more"
    lines = Lines()
    pieces = [
        ("x" * (before - 1) + " " + line[: beginning + 1]),
        line[beginning + 1 :] + "\nlast\n",
    ]
    pieces = ["".join(pieces)] if at_once else pieces
    cut, last = [one for piece in pieces for one in lines.ended_by(piece.encode())]
    assert last == "last"
    assert cut.endswith(" ... (cut)")
    assert not any(part in cut for part in ("s3", "3t", "passw"))
    assert len(cut) <= LONGEST_LINE + len("*** ... (cut)")


def test_a_password_that_a_child_writes_in_two_parts_is_not_told() -> None:
    before = LONGEST_LINE - 16
    begins = f"head -c {before} /dev/zero | tr '\\0' ' '; printf 'https://joe:s3cr'; "
    (line,) = told(f"{begins} printf '3tpassw@host/p\\n'")
    assert line.split() == ["https://***", "...", "(cut)"]


def test_a_line_that_begins_again_is_told_as_a_terminal_shows_it() -> None:
    lines = Lines()
    bar = b"\r".join(b"%d %%" % (number % 100) for number in range(LONGEST_LINE))
    pieces = [bar, b"\r100 %\r", b"\n", b"a\r\nb\r", b"\n" + bar + b"\rend\nc", b""]
    assert [one for piece in pieces for one in lines.ended_by(piece)] == [
        "100 %",
        "a",
        "b",
        "end",
        "c",
    ]


@pytest.mark.parametrize("wanted", [True, False])
def test_no_line_of_a_piece_is_told_after_the_deadline_or_to_nobody(
    monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    heard: list[str] = []

    def hear(line: str) -> None:
        heard.append(line)
        if wanted:
            clock.now += 600

    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(streams, "time", SimpleNamespace(monotonic=lambda: clock.now))
    ends = pytest.raises(TookTooLong) if wanted else nullcontext()
    pipe = subprocess.PIPE
    with subprocess.Popen(["printf", "a\\nb\\nc\\n"], stdout=pipe, stderr=pipe) as child, ends:
        streams.read(child, 300, lambda: not wanted and bool(heard), on_line=hear)
    assert heard == ["a"]


def told(script: str) -> list[str]:
    lines: list[str] = []
    Supervisor().run(["sh", "-c", script], seconds=PATIENCE, on_line=lines.append)
    return lines


@pytest.fixture
def starter(tmp_path: Path) -> Starter:
    return Starter(tmp_path)


@pytest.mark.parametrize(
    ("goes_on", "error"), [("wait", TookTooLong), ("yes", TooMuch)], ids=["hangs", "floods"]
)
@pytest.mark.parametrize("killed", [True, False])
def test_who_is_given_up_is_not_asked_to_end_and_those_it_started_are_gone(
    starter: Starter,
    monkeypatch: pytest.MonkeyPatch,
    goes_on: str,
    error: type[Exception],
    killed: bool,
) -> None:
    if error is TookTooLong:
        starter.over_once_begun(monkeypatch)
    give_no_grace = supervising.give_no_grace
    lived: list[int] = []

    def give_up(process: subprocess.Popen[bytes]) -> None:
        lived.append(starter.living)
        if killed:
            give_no_grace(process)

    monkeypatch.setattr(supervising, "give_no_grace", give_up)
    monkeypatch.setattr(streams, "GONE_SECONDS", PATIENCE if killed else 0.0)
    monkeypatch.setattr(supervising, "GRACE_SECONDS", PATIENCE)
    with pytest.raises(error):
        run(starter.script + goes_on, most=MIB)
    assert lived == [2]
    assert starter.asked is not killed
    if killed:
        assert starter.living == 0


# It goes on when the other is in its own session, where no signal to the first one's arrives.
ESCAPES = """
mkfifo {0}.ready
setsid sh -c 'echo $$ > {0}; echo > {0}.ready; exec tail -f /dev/null' &
read ready < {0}.ready
"""


@pytest.fixture
def escaped(tmp_path: Path) -> Iterator[Path]:
    """The file with the number of one that was started so; it is killed in the end."""
    path = tmp_path / "escaped"
    yield path
    if lives(path):
        os.kill(int(path.read_text()), signal.SIGKILL)


def lives(path: Path) -> bool:
    command = Path("/proc", path.read_text().strip(), "cmdline")
    return command.exists() and command.read_bytes() != b""


@pytest.mark.parametrize("ends", [True, False])
def test_whoever_holds_the_streams_is_waited_for_but_not_for_ever(
    escaped: Path, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    give_no_grace = supervising.give_no_grace
    ending = threading.Timer(0.3, lambda: os.kill(int(escaped.read_text()), signal.SIGKILL))

    def give_up(process: subprocess.Popen[bytes]) -> None:
        give_no_grace(process)
        if ends:
            ending.start()

    monkeypatch.setattr(supervising, "give_no_grace", give_up)
    monkeypatch.setattr(streams, "GONE_SECONDS", PATIENCE if ends else 0.1)
    with pytest.raises(TooMuch):
        run(f"{ESCAPES.format(escaped)} exec yes", most=MIB)
    assert lives(escaped) is not ends


def test_a_run_that_is_stopped_waits_for_nobody_who_holds_the_streams(
    tmp_path: Path, escaped: Path
) -> None:
    child, supervisor = Silent(tmp_path, "child"), Supervisor()
    script = f"{ESCAPES.format(escaped)} exec {child.path}"
    assert stopped_while_it_runs(supervisor, ["sh", "-c", script], child) == ["Stopped"]
    assert lives(escaped)
    child.close()
