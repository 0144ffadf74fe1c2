"""rocm-entrypoint runs a command unchanged, whatever the preflight says or fails to say."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SHOW = "import os, sys; sys.stdout.buffer.write(b'\\0'.join(map(os.fsencode, sys.argv[1:])))"


@pytest.fixture
def entrypoint(programs: Path, tmp_path: Path) -> Path:
    """A copy of the entrypoint, beside a preflight that has nothing to say."""
    copied = shutil.copy(programs / "rocm-entrypoint", tmp_path)
    preflight(tmp_path, "exit 0")
    return Path(copied)


def preflight(folder: Path, body: str) -> None:
    path = folder / "rocm-preflight"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def run(entrypoint: Path, *words: str | bytes, **env: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [str(entrypoint), *words],
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        timeout=20,
        input=b"what was piped in",
    )


def test_arguments_arrive_byte_for_byte(entrypoint: Path) -> None:
    arguments = [
        b"",
        b" a  b ",
        b"line\nline\n",
        b"$HOME `id` *",
        b"'\"\\",
        b"-n",
        b"--",
        b"\xff\xfe",
    ]
    done = run(entrypoint, sys.executable, "-c", SHOW, *arguments)
    assert done.stdout.split(b"\0") == arguments


def test_the_command_takes_the_place_of_the_entrypoint(entrypoint: Path) -> None:
    process = subprocess.Popen(
        [str(entrypoint), sys.executable, "-c", "import os; print(os.getpid())"],
        stdout=subprocess.PIPE,
        text=True,
    )
    out, _ = process.communicate(timeout=20)
    assert int(out) == process.pid


@pytest.mark.parametrize("status", [0, 1, 21, 137, 255])
def test_the_commands_exit_status_is_the_containers(entrypoint: Path, status: int) -> None:
    assert run(entrypoint, "sh", "-c", f"exit {status}").returncode == status


def test_a_signal_that_ends_the_command_is_seen_as_such(entrypoint: Path) -> None:
    assert run(entrypoint, "sh", "-c", "kill -TERM $$").returncode == -signal.SIGTERM


def test_a_command_that_does_not_exist_exits_127(entrypoint: Path) -> None:
    done = run(entrypoint, "no-such-command")
    assert done.returncode == 127
    assert b"no-such-command" in done.stderr


def test_standard_input_is_left_to_the_command(entrypoint: Path) -> None:
    preflight(entrypoint.parent, "cat >/dev/null")
    assert run(entrypoint, "cat").stdout == b"what was piped in"


def test_what_the_preflight_says_goes_to_stderr(entrypoint: Path) -> None:
    preflight(entrypoint.parent, "echo out; echo err >&2")
    done = run(entrypoint, "echo", "hello")
    assert (done.stdout, done.stderr) == (b"hello\n", b"out\nerr\n")


def test_the_environment_arrives_whole(entrypoint: Path) -> None:
    # Names that are no identifiers come from Kubernetes; what BASH_ENV names must not be run.
    poison = entrypoint.parent / "poison"
    poison.write_text("echo poisoned >&2; exit 3\n")
    given = {"a.b-c": "1", "EMPTY": "", "LINES2": "x\ny", "BASH_ENV": str(poison)}
    done = run(entrypoint, sys.executable, "-c",
               "import os, json; print(json.dumps(dict(os.environ)))", **given)  # fmt: skip
    found = json.loads(done.stdout)
    assert {name: found.get(name) for name in given} == given
    assert found.keys() - given.keys() <= {"PATH", "PWD", "SHLVL", "LC_CTYPE", "_"}
    assert done.stderr == b""


def test_a_gpu_that_the_image_is_not_for_stops_the_command(entrypoint: Path) -> None:
    preflight(entrypoint.parent, "exit 21")
    done = run(entrypoint, "echo", "hello")
    assert (done.returncode, done.stdout) == (21, b"")


def test_the_preflight_can_be_skipped(entrypoint: Path) -> None:
    preflight(entrypoint.parent, "echo said >&2; exit 21")
    done = run(entrypoint, "echo", "hello", ROCM_IMAGES_SKIP_PREFLIGHT="1")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello\n", b"")


def test_a_log_is_judged_whatever_gpu_is_there_and_a_server_is_not_served(entrypoint: Path) -> None:
    preflight(entrypoint.parent, "echo said >&2; exit 21")
    probe = entrypoint.parent / "graph-probe"
    probe.write_text('#!/bin/sh\ncat\necho " $*"\n')
    probe.chmod(0o755)
    path = f"{entrypoint.parent}:{os.environ['PATH']}"
    done = run(entrypoint, "graph-probe", "judge", "-", PATH=path)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"what was piped in judge -\n", b"")
    for words in (("graph-probe", "serve"), ("graph-probe",), ("echo", "graph-probe judge")):
        done = run(entrypoint, *words, PATH=path)
        assert (done.returncode, done.stdout, done.stderr) == (21, b"", b"said\n")


@pytest.mark.parametrize(
    "body", ["exit 1", "exit 2", "exit 127", "kill -KILL $$", "syntax ((error"]
)
def test_a_preflight_that_breaks_stops_nothing(entrypoint: Path, body: str) -> None:
    preflight(entrypoint.parent, body)
    done = run(entrypoint, "echo", "hello")
    assert (done.returncode, done.stdout) == (0, b"hello\n")


def test_a_preflight_that_is_missing_stops_nothing(entrypoint: Path) -> None:
    (entrypoint.parent / "rocm-preflight").unlink()
    assert run(entrypoint, "echo", "hello").stdout == b"hello\n"


def test_doctor_is_the_report_and_takes_its_arguments(entrypoint: Path) -> None:
    # A report must be had on the wrong GPU too.
    preflight(entrypoint.parent, "exit 21")
    doctor = entrypoint.parent / "image-doctor"
    doctor.write_text('#!/bin/sh\necho "the doctor was given" "$@"\n')
    doctor.chmod(0o755)
    done = run(entrypoint, "doctor", "--json")
    assert (done.returncode, done.stdout) == (0, b"the doctor was given --json\n")


def test_a_command_whose_name_only_begins_like_doctor_is_run(entrypoint: Path) -> None:
    assert run(entrypoint, "doctors").returncode == 127


def test_selftest_is_the_self_test_and_takes_its_arguments(entrypoint: Path) -> None:
    preflight(entrypoint.parent, "exit 21")
    selftest = entrypoint.parent / "image-selftest"
    selftest.write_text('#!/bin/sh\necho "the self-test was given" "$@"\n')
    selftest.chmod(0o755)
    done = run(entrypoint, "selftest", "--output", "-")
    assert (done.returncode, done.stdout) == (0, b"the self-test was given --output -\n")


def test_without_a_command_it_says_so(entrypoint: Path) -> None:
    done = run(entrypoint)
    assert done.returncode == 2
    assert b"no command" in done.stderr


def test_the_real_preflight_lets_a_command_run_on_a_machine_without_a_gpu(programs: Path) -> None:
    done = run(programs / "rocm-entrypoint", "echo", "hello", PATH=os.environ["PATH"])
    assert (done.returncode, done.stdout) == (0, b"hello\n")


SHOW_PRELOAD = "import os; print(os.environ.get('LD_PRELOAD'))"


@pytest.fixture
def guarded(programs: Path, tmp_path: Path) -> tuple[Path, Path]:
    """An entrypoint in an image's root that has a capture guard, and the guard's file."""
    folder = tmp_path / "root" / "usr" / "local" / "bin"
    folder.mkdir(parents=True)
    preflight(folder, "exit 0")
    guard = tmp_path / "root" / "opt" / "rocm-images" / "lib" / "libcapture_guard.so"
    guard.parent.mkdir(parents=True)
    guard.touch()
    return Path(shutil.copy(programs / "rocm-entrypoint", folder)), guard


@pytest.mark.parametrize("given", [{}, {"CAPTURE_GUARD": ""}, {"CAPTURE_GUARD": "0"}])
def test_the_guard_is_off_unless_asked_for(
    guarded: tuple[Path, Path], given: dict[str, str]
) -> None:
    done = run(guarded[0], sys.executable, "-c", SHOW_PRELOAD, **given)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"None\n", b"")


def test_the_guard_is_preloaded_before_what_was_preloaded_already(
    guarded: tuple[Path, Path],
) -> None:
    entrypoint, guard = guarded
    words = [sys.executable, "-c", SHOW_PRELOAD]
    assert run(entrypoint, *words, CAPTURE_GUARD="1").stdout == f"{guard}\n".encode()
    kept = run(entrypoint, *words, CAPTURE_GUARD="1", LD_PRELOAD="/other.so").stdout
    assert kept == f"{guard}:/other.so\n".encode()
    # A program that starts the entrypoint again has it once.
    again = run(entrypoint, entrypoint, *words, CAPTURE_GUARD="1").stdout
    assert again == f"{guard}\n".encode()


def test_a_guard_that_the_image_has_not_is_one_sentence_and_the_command_runs(
    guarded: tuple[Path, Path],
) -> None:
    entrypoint, guard = guarded
    guard.unlink()
    done = run(entrypoint, "echo", "hello", CAPTURE_GUARD="1")
    assert (done.returncode, done.stdout) == (0, b"hello\n")
    assert done.stderr.count(b"\n") == 1
    assert b"this image has no capture guard" in done.stderr


@pytest.mark.parametrize("value", ["yes", "2", "on", " 1"])
def test_a_guard_that_is_neither_on_nor_off_is_refused(
    guarded: tuple[Path, Path], value: str
) -> None:
    done = run(guarded[0], "echo", "hello", CAPTURE_GUARD=value)
    assert (done.returncode, done.stdout) == (2, b"")
    assert f"CAPTURE_GUARD is '{value}'".encode() in done.stderr
