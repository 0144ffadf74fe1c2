"""However a verb ends, it ends in one sentence and a documented exit code."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import click
import pytest

from rocm_images.cli.main import main
from rocm_images.cli.main import run as run_command
from rocm_images.errors import ExitCode

PROJECT = Path(__file__).resolve().parents[3]
BUILD_PY = [sys.executable, str(PROJECT / "build.py")]


def verbs(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from verbs(command, (*path, name))
        else:
            yield (*path, name)


VERBS = sorted(verbs(main))

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Run]:
    """A verb whose body is replaced; gives the exit code and what standard error got."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def given(
        body: Callable[[], object], path: tuple[str, ...] = ("plan",), *arguments: str
    ) -> tuple[int, str]:
        command: click.Command = main
        for name in path:
            assert isinstance(command, click.Group)
            command = command.commands[name]
        monkeypatch.setattr(command, "params", [click.Argument(["rest"], nargs=-1)])
        monkeypatch.setattr(command, "callback", lambda rest: body())
        monkeypatch.setattr(sys, "argv", ["build.py", *path, *arguments])
        with pytest.raises(SystemExit) as ended:
            run_command()
        assert isinstance(ended.value.code, int)
        # click begins a line of its own behind the ^C that a terminal shows.
        return ended.value.code, capfd.readouterr().err.lstrip("\n")

    yield given
    for number, handler in handlers.items():
        signal.signal(number, handler)


def raising(error: BaseException) -> Callable[[], NoReturn]:
    def body() -> NoReturn:
        raise error

    return body


@pytest.mark.parametrize("path", VERBS, ids=" ".join)
def test_what_nobody_foresaw_is_a_sentence_and_a_file(
    run: Run, tmp_path: Path, path: tuple[str, ...]
) -> None:
    code, told = run(raising(RuntimeError("no such thing\nat all")), path)
    assert code == ExitCode.DEFECT
    (report,) = tmp_path.glob("rocm-images-defect-*.txt")
    assert told == (
        "build.py: this is a defect of build.py (RuntimeError: no such thing): report it with "
        f"{report}, which says where\n"
    )
    assert "Traceback" in report.read_text()
    assert " ".join(map(repr, path)) in report.read_text()
    assert report.stat().st_mode & 0o077 == 0


def test_a_report_holds_no_credentials(run: Run, tmp_path: Path) -> None:
    address = "https://someone:secret-token@git.example.org/x.git"
    code, told = run(raising(ValueError(f"cannot use {address}")), ("plan",), address)
    assert code == ExitCode.DEFECT
    (report,) = tmp_path.glob("rocm-images-defect-*.txt")
    for text in (told, report.read_text()):
        assert "secret-token" not in text
        assert "git.example.org" in text


def test_a_report_that_finds_no_space_is_not_left_in_part(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = os.fdopen

    def full(number: int, *how: str, **more: str) -> object:
        opened(number, *how, **more).close()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fdopen", full)
    code, told = run(raising(RuntimeError("odd")))
    assert code == ExitCode.DEFECT
    assert told.endswith("could not be written (No space left on device)\n")
    assert list(tmp_path.glob("rocm-images-defect-*")) == []


def test_a_defect_where_no_file_can_be_written_is_a_sentence_all_the_same(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(tempfile, "mkstemp", lambda **_: raising(full)())
    code, told = run(raising(RuntimeError("odd")))
    assert code == ExitCode.DEFECT
    assert told.endswith("could not be written (No space left on device)\n")
    assert "Traceback" not in told


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 13, "/x: the system refuses: No"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), 13, "place that can be written to"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 13, "that you may use"),
        (OSError(errno.EMFILE, "Too many open files"), 13, "ulimit -n"),
        (MemoryError(), 13, "not enough memory"),
        (FileNotFoundError(errno.ENOENT, "No such file", "/x"), 70, "this is a defect"),
        (OSError("timed out"), 70, "this is a defect"),
        (RecursionError("too deep"), 70, "this is a defect"),
        (ModuleNotFoundError("no", name="docker.types"), 3, "package docker is missing: run `make"),
        (ModuleNotFoundError("no", name="rocm_images.x"), 70, "this is a defect"),
        (BrokenPipeError(), 0, ""),
        (SystemExit(4), 4, ""),
        (SystemExit(ExitCode.SMOKE_FAILED), 4, ""),
        (SystemExit(), 0, ""),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_the_systems_refusals_are_no_defects(
    run: Run, error: BaseException, code: int, sentence: str
) -> None:
    found, told = run(raising(error))
    assert (found, sentence in told) == (code, True), told
    assert told.count("\n") == (1 if sentence else 0)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, ExitCode.TERMINATED), (signal.SIGHUP, ExitCode.HUNG_UP)]
)
def test_a_signal_has_its_own_code(run: Run, number: signal.Signals, code: ExitCode) -> None:
    def body() -> None:
        os.kill(os.getpid(), number)
        signal.sigtimedwait([], 10)

    assert run(body) == (code, "build.py: interrupted\n")
    assert run(raising(KeyboardInterrupt()))[0] == ExitCode.INTERRUPTED


@pytest.mark.parametrize("words", ["plan", "schema", "ci-matrix", "--help", "--version"])
def test_a_full_disk_behind_standard_output_is_no_success(words: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*BUILD_PY, *words.split()], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == ExitCode.SYSTEM_REFUSED
    assert done.stderr == "build.py: the system refuses: No space left on device: make room there\n"


@pytest.mark.parametrize(("given", "code"), [(0, 13), (4, 4)])
def test_a_verb_with_a_code_of_its_own_meets_a_full_disk_too(given: int, code: int) -> None:
    program = f"""
import sys
from rocm_images.cli.ending import ended
ended(lambda: (print("an answer"), sys.exit({given})))
"""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=PROJECT,
            # So that what is printed is written at the end alone.
            env={k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    assert done.returncode == code
    assert done.stderr.count("the system refuses") == (1 if given == 0 else 0)
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_as_if_nobody_read_them(closed: str) -> None:
    words = ["sh", "-c", f'"$@" {closed}', "sh", *BUILD_PY, "plan"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
