"""Runs that write the same follow each other, and who waits says for whom."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from rocm_images import turns
from rocm_images.build import run
from rocm_images.build.run import BuildCommand
from rocm_images.build.site import RealSite
from rocm_images.engine.connect import Engine
from rocm_images.errors import Busy, InputError, WriteRefused
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load
from rocm_images.turns import held

PROJECT = Path(__file__).resolve().parents[2]
HOLDER = """
import sys
from pathlib import Path
from rocm_images.turns import held
with held(sys.argv[2:], "build", Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read(1)
print("given back", flush=True)
"""


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    turns.set_patience(0)
    yield
    turns.set_patience(None)


def begun(folder: Path, *names: str) -> subprocess.Popen[str]:
    """A process of its own that wants these."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), *names],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def holder(folder: Path, *names: str) -> Iterator[subprocess.Popen[str]]:
    """One that has them, until the block or the process ends."""
    with begun(folder, *names) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_who_comes_second_is_told_for_whom_and_what(tmp_path: Path) -> None:
    with holder(tmp_path, "a-cell") as first:
        sentence = rf"`build.py build` \(process {first.pid}, since \d{{4}}-.*\) works on a-cell in"
        with pytest.raises(Busy, match=sentence), held(["a-cell"], "smoke", tmp_path):
            raise AssertionError("two have it")


def test_other_things_are_worked_on_at_once(tmp_path: Path) -> None:
    with holder(tmp_path, "one", "two"), held(["three"], "build", tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {"one", "two", "three"}


def test_who_waits_says_so_and_goes_on_when_the_first_has_ended(tmp_path: Path) -> None:
    with holder(tmp_path, "a-cell") as first, begun(tmp_path, "a-cell") as second:
        assert second.stdout is not None
        assert second.stderr is not None
        told = second.stderr.readline()
        assert f"waiting for `build.py build` (process {first.pid}," in told
        out, _ = first.communicate("x", timeout=60)
        assert out == "given back\n"
        assert second.stdout.readline() == "held\n"
        out, more = second.communicate("x", timeout=60)
        # Once is enough.
        assert (out, more) == ("given back\n", "")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_lock_ends_with_its_process_however_that_ends(
    tmp_path: Path, number: signal.Signals
) -> None:
    with holder(tmp_path, "a-cell") as first:
        first.send_signal(number)
        first.wait(timeout=60)
        with held(["a-cell"], "build", tmp_path):
            told = (tmp_path / "a-cell").read_text()
    assert f"(process {os.getpid()}," in told
    assert (tmp_path / "a-cell").read_text() == ""


def test_ctrl_c_ends_the_waiting(tmp_path: Path) -> None:
    with holder(tmp_path, "a-cell"), begun(tmp_path, "a-cell") as second:
        assert second.stderr is not None
        second.stderr.readline()
        second.send_signal(signal.SIGINT)
        out, _ = second.communicate(timeout=60)
        assert (second.returncode, out) == (-signal.SIGINT, "")


def test_two_that_want_the_same_two_never_wait_for_each_other(tmp_path: Path) -> None:
    with holder(tmp_path, "a", "b"):
        taken = held(["b", "a"], "build", tmp_path)
        with pytest.raises(Busy, match="works on a in"), taken:
            raise AssertionError
    # Nothing is kept of what was taken before it failed.
    with holder(tmp_path, "b"):
        with pytest.raises(Busy), held(["a", "b"], "build", tmp_path):
            raise AssertionError
        with held(["a"], "build", tmp_path):
            pass


@pytest.mark.parametrize(
    ("code", "ends"),
    [
        ("EROFS", nullcontext()),
        ("EACCES", nullcontext()),
        ("ENOLCK", nullcontext()),
        ("ENOSPC", pytest.raises(WriteRefused, match="x: cannot write it")),
        ("ENOTDIR", pytest.raises(InputError, match="x: cannot write it")),
    ],
)
@pytest.mark.parametrize("at", ["os.open", "fcntl.flock"])
def test_where_nobody_can_write_or_lock_there_is_no_turn_to_wait_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str, code: str, ends: object
) -> None:
    import errno

    def refuse(*_: object) -> int:
        number = getattr(errno, code)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(f"rocm_images.turns.{at}", refuse)
    done = []
    with ends, held(["x"], "build", tmp_path):  # type: ignore[attr-defined]
        done.append(code)
    assert bool(done) is isinstance(ends, nullcontext)


class _Reached(Exception):
    """What a build goes on with, once it is its turn."""


def test_a_build_waits_for_who_works_on_its_cells_and_says_bad_words_before(
    matrix_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    matrix = load(matrix_file())
    (cell,) = (one for one in cells_of(matrix) if one.name == "sglang-942-rocm7.2.0")

    class Site(RealSite):
        def prepared(self, *_: object, **__: object) -> Engine:
            return Engine(f"unix://{tmp_path}/none", Version("26.1"), "1.45", {})

    def build(**more: Any) -> None:
        options = {"jobs": 1, "builder": None, "contexts": (), "build_args": (), "secrets": {}}
        command = BuildCommand(
            **{**options, "network": None, "smoke": True, "force": False, "site": Site(), **more}
        )
        run.build_and_test(tmp_path / "matrix.yaml", matrix, [cell], command)

    def reached(*_: object) -> None:
        raise _Reached

    monkeypatch.setattr(run, "_targets", reached)
    with holder(turns.FOLDER, cell.name) as first:
        with pytest.raises(Busy, match=rf"\(process {first.pid},.*works on {cell.name} in"):
            build()
        with pytest.raises(InputError, match="is not NAME=SOURCE"):
            build(contexts=("x",))
    with pytest.raises(_Reached):
        build()


# Whoever else runs tests in this folder publishes and builds in it, and would be waited for.
ELSEWHERE = """
import sys
from pathlib import Path
from rocm_images import places
places.STATE = Path(sys.argv.pop(1))
from rocm_images.start import run
run()
"""


def build_py(state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ELSEWHERE, str(state), *words]
    return subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=120
    )


KEY = ("--registry", "localhost:9", "--sign-key", "none", "--attempts", "1")
PUBLIC = ("--registry", "localhost:9", "--key", "none", "--attempts", "1")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("project-files", ("render",)),
        ("project-files", ("lock", "--update", "sglang")),
        ("publishing", ("publish", *KEY)),
        ("publishing", ("push", *KEY)),
        ("publishing", ("rollback", *KEY, "--to", "x")),
        ("publishing", ("mirror", *PUBLIC, "--to", "localhost:8")),
    ],
)
def test_a_verb_that_writes_waits_no_longer_than_it_is_told(
    name: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    with holder(tmp_path / "locks", name) as first:
        done = build_py(tmp_path, *words, "--wait", "0")
    assert done.returncode == 14, done.stderr
    assert re.search(rf"\(process {first.pid}, since .*\) works on {name} in this", done.stderr)


@pytest.mark.parametrize(
    "words", [("render", "--check"), ("plan",), ("explain", "sglang-942-rocm7.2.0")]
)
def test_a_verb_that_writes_nothing_waits_for_nobody(
    words: tuple[str, ...], tmp_path: Path
) -> None:
    with holder(tmp_path / "locks", "project-files", "publishing", "sglang-942-rocm7.2.0"):
        assert build_py(tmp_path, *words).returncode in (0, 5)
