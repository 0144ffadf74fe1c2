"""What a rehearsal waits for is named, with the last that it said: mirror, index, engine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from rehearsal import bases, debian_packages, root, wheelhouse
from rehearsal.debian_packages import Distribution
from rehearsal.engine import PrivateEngine
from rocm_images.engine import buildx
from rocm_images.errors import EngineError
from rocm_images.telling import PROGRAM
from told import Slow, Told

pytestmark = pytest.mark.usefixtures("terminal")


@pytest.mark.parametrize("fails", ["", "E: no such suite"])
def test_mmdebstrap_is_waited_for_with_its_step(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    slow = Slow(
        tmp_path / "usr/bin/mmdebstrap", "echo 'I: extracting archives...' >&2", fails=fails
    )
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(debian_packages, "distribution", lambda: Distribution("trixie", {}))
    monkeypatch.setattr(debian_packages, "unpack", lambda *_: tmp_path)
    monkeypatch.setattr(debian_packages, "mirror", lambda _: "https://mirror.example.org/")
    monkeypatch.setattr(root, "PrivateEngine", lambda: PrivateEngine(cache=tmp_path))
    (tmp_path / "root.tar").touch()
    taken: list[str] = []
    client = SimpleNamespace(
        api=SimpleNamespace(import_image_from_file=lambda *words, **_: taken.extend(words))
    )
    complaints: list[str] = []

    def make() -> None:
        try:
            root._make(client, "a/root:trixie")  # type: ignore[arg-type]
        except EngineError as error:
            complaints.append(str(error))

    words = f"{PROGRAM}: waiting a moment for mmdebstrap: I: extracting archives..."
    slow.during(make, told, words)
    # Its steps are no part of what went wrong.
    assert complaints == ([f"mmdebstrap failed: {fails}"] if fails else [])
    assert bool(taken) is not bool(fails)


def test_a_slow_mirror_is_waited_for_with_what_it_sends(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "Get:3 https://mirror.example.org trixie/main amd64 docker.io [30 MB]"
    slow = Slow(tmp_path / "apt-get", f"echo '{line}' >&2")
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    monkeypatch.setenv("PATH", environment["PATH"])
    slow.during(
        lambda: debian_packages._apt(["download", "docker.io"], environment, tmp_path),
        told,
        f"waiting a moment for apt-get download: {line}",
    )


def test_a_slow_index_of_wheels_is_waited_for(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(tmp_path / "python", "echo 'Downloading triton-3.4.0.whl (155 MB)' >&2")
    monkeypatch.setattr(sys, "executable", str(slow.path))
    slow.during(
        lambda: wheelhouse.fetch(tmp_path / "wheels", "triton==3.4.0"),
        told,
        "waiting a moment for pip, which downloads wheels: Downloading triton-3.4.0.whl (155 MB)",
    )


def test_an_engine_that_starts_slowly_is_waited_for(told: Told, tmp_path: Path) -> None:
    engine = PrivateEngine(cache=tmp_path)
    words = "waiting a moment for sleep of the private engine, which starts"
    engine._begin(
        ["sleep", "600"], tmp_path / "log", lambda: any(words in line for line in told.drawn)
    )
    (started,) = _started_by(engine)
    started.kill()
    engine._reap()


def _started_by(engine: PrivateEngine) -> list[subprocess.Popen[bytes]]:
    from rehearsal.engine import _STARTED

    return _STARTED[engine.runtime]


def test_the_base_of_a_rehearsal_shows_the_steps_of_its_build(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(_: object, __: object, on_step: Callable[[str], None]) -> tuple[int, object]:
        on_step("[stand-in 3/9] RUN apt-get")
        told.wait()
        return 0, None

    monkeypatch.setattr(buildx, "run", build)
    monkeypatch.setattr(buildx, "find_buildx", lambda _: None)
    monkeypatch.setattr(bases, "root_image", lambda _: "a/root:trixie")
    bases._build(None, None, "base-rocm7.2.2", "a/base:1", {}, {})  # type: ignore[arg-type]
    assert told.drawn[0] == (
        f"{PROGRAM}: waiting a moment for the build of base-rocm7.2.2: [stand-in 3/9] RUN apt-get"
    )
