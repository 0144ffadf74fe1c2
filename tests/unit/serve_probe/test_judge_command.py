"""`graph-probe judge`, as somebody runs it who was sent a log."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from corpus import CORPUS

from raw_logs import FROM_REPORTS, LOGS, PROJECT
from serve_probe import log_file
from serve_probe.judge_command import main
from serve_probe.verdict import EXIT_OF_STATE, State

PROGRAM = PROJECT / "images" / "rootfs" / "usr" / "local" / "bin" / "graph-probe"
SEGFAULT = FROM_REPORTS / "segfault.log"
READY = LOGS / "tp1_eager_rand.log"


def judge(*arguments: str | Path, given: bytes | None = None) -> subprocess.CompletedProcess[str]:
    run = subprocess.run(
        [PROGRAM, "judge", *arguments], input=given or b"", capture_output=True, timeout=60
    )
    return subprocess.CompletedProcess(
        run.args, run.returncode, run.stdout.decode(), run.stderr.decode()
    )


def test_a_log_is_told_in_a_few_lines() -> None:
    run = judge(SEGFAULT)
    assert run.returncode == 49
    first, sentence, line, more = run.stdout.splitlines()
    assert first == f"{SEGFAULT}: crashed (sigsegv)"
    assert "SIGSEGV" in sentence
    assert "rank 3" in sentence
    assert line.split(None, 1) == ["line", "Fatal Python error: Segmentation fault"]
    assert more.split() == ["more", "docs/crashes.md#sigsegv"]


@pytest.mark.parametrize("name", ["broken-capture-is-not-the-cause", "0x1016-on-one-gpu"])
def test_a_terminal_has_lines_of_its_width_and_a_log_whole_ones(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = FROM_REPORTS / f"{name}.log"
    main([str(log)])
    whole = capsys.readouterr().out.splitlines()
    assert len(whole[1]) > 200
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    main([str(log)])
    _, *wrapped = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in wrapped if " " in line.strip())
    assert " ".join(" ".join(wrapped).split()) == " ".join(" ".join(whole[1:]).split())


def test_every_cause_that_it_can_name_leads_to_the_page() -> None:
    page = (PROJECT / "docs" / "crashes.md").read_text()
    for name, expected in CORPUS.items():
        if expected.cause:
            assert f"\n### {expected.cause}\n" in page, name


@pytest.mark.parametrize(
    "name", ["first-decode-in-warm-up", "scheduler-watchdog", "vllm-no-kv-memory"]
)
def test_standard_input_and_json(name: str) -> None:
    run = judge("-", "--json", given=(FROM_REPORTS / f"{name}.log").read_bytes())
    said, expected = json.loads(run.stdout), CORPUS[name]
    assert run.returncode == said["exit_code"] == EXIT_OF_STATE[expected.state]
    found = (said["state"], said["stage"], said["rank"], said["cause"])
    assert found == (expected.state, expected.stage, expected.rank, expected.cause)
    assert said["advisories"] == list(expected.advisories)
    assert [file["file"] for file in said["files"]] == ["-"]
    assert said["server"] == ("vLLM" if name.startswith("vllm") else "SGLang")


def test_of_several_logs_the_first_failure_decides() -> None:
    run = judge(READY, SEGFAULT, FROM_REPORTS / "oom-in-load.log", "--json", "--stopped")
    said = json.loads(run.stdout)
    assert run.returncode == 49
    assert said["file"] == str(SEGFAULT)
    states = [State.READY, State.CRASHED, State.OUT_OF_MEMORY]
    assert [file["state"] for file in said["files"]] == states


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ([], 45),
        (["--status", "137"], 43),
        (["--status", "-9"], 43),
        (["--status", "139"], 49),
        (["--status", "1"], 45),
        (["--status", "159"], 49),
        # No signal has that number: a program gave it itself.
        (["--status", "255"], 45),
        (["--overdue"], 44),
    ],
)
def test_what_is_known_beside_the_log(options: list[str], code: int) -> None:
    loading = b"[2026-05-02 07:10:01 TP0] Load weight begin. avail mem=190.10 GB\n"
    run = judge("-", *options, given=loading)
    assert run.returncode == code
    assert "while the model was loaded" in run.stdout


@pytest.mark.parametrize("given", [b"", b"\n", b" \n\n"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "The log is empty."),
        (["--status", "1"], "The log of a server that ended with 1 is empty."),
    ],
)
def test_an_empty_log_is_said_to_be_empty(given: bytes, options: list[str], said: str) -> None:
    run = judge("-", *options, given=given)
    assert run.returncode == 45
    assert said in run.stdout
    assert "docker logs NAME 2>&1 | docker run" in run.stdout
    assert "while the server started" not in run.stdout


def test_stopped_on_purpose_or_not() -> None:
    text = READY.read_bytes()
    assert judge("-", "--stopped", "--status", "137", given=text).returncode == 0
    # The log itself says that it ended as it was told.
    assert judge("-", "--status", "-9", given=text).returncode == 0
    assert judge("-", given=text).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "FILE"),
        (["absent.log"], "absent.log cannot be read: No such file or directory"),
        (["."], ". cannot be read: Is a directory"),
        (["--server", "llama", "-"], "--server"),
        (["--status", "x", "-"], "--status"),
        (["--sttus", "1", "-"], "--sttus"),
    ],
)
def test_what_cannot_be_judged(arguments: list[str], said: str) -> None:
    run = judge(*arguments)
    assert run.returncode == 2
    assert said in run.stderr
    assert "Traceback" not in run.stderr
    document = json.loads(judge(*arguments, "--json").stdout)
    assert (document["exit_code"], document["files"]) == (2, [])


def test_bytes_that_are_no_text() -> None:
    run = judge("-", given=bytes(range(256)) * 400)
    assert run.returncode == 45
    assert "Traceback" not in run.stderr + run.stdout


def test_of_an_endless_pipe_the_beginning_and_the_end_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_file, "MOST_BYTES", 4)
    monkeypatch.setattr(log_file, "_PIECE", 3)
    for content, read in ((b"", ""), (b"abcdef", "abcdef"), (b"begin and the end", "begi end")):
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cat:
            assert cat.stdin
            assert cat.stdout
            cat.stdin.write(content)
            cat.stdin.close()
            assert log_file.read_log(cat.stdout) == read
