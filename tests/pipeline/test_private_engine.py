"""The private engine starts, says whether it runs, and stops without a trace."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rehearsal import debian_packages
from rehearsal.engine import PrivateEngine
from rocm_images.engine.buildx import find_buildx
from rocm_images.engine.connect import connect
from rocm_images.errors import EngineError
from rocm_images.places import PROJECT


@pytest.fixture
def private(tmp_path: Path) -> Iterator[PrivateEngine]:
    """An engine of this test's own, from packages that are unpacked once for all."""
    packages = PrivateEngine(PROJECT / ".cache" / "rehearsal").packages
    debian_packages.unpack(packages, debian_packages.distribution())
    (tmp_path / "packages").symlink_to(packages)
    engine = PrivateEngine(tmp_path)
    yield engine
    engine.stop()


def test_it_answers_after_start_and_not_after_stop(private: PrivateEngine) -> None:
    assert not private.answers()
    private.start()
    assert private.answers()
    found = connect({**os.environ, **private.environment()})
    assert find_buildx(found).has_bridge is False
    assert private.stop() is True
    assert private.pid() is None
    assert not private.answers()
    assert not private.runtime.exists()


def test_what_it_has_the_shell_point_docker_at_has_buildx_by_its_own_name(
    private: PrivateEngine,
) -> None:
    page = (PROJECT / "docs" / "rehearsal.md").read_text()
    (command,) = re.findall(r"^    (docker-buildx bake --print \S+)", page, re.MULTILINE)
    answer = subprocess.run(
        command.split(),
        cwd=PROJECT,
        env={**os.environ, **private.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert "sglang-942-rocm7_2_0" in json.loads(answer.stdout)["target"]


def test_starting_or_stopping_it_twice_is_harmless(private: PrivateEngine) -> None:
    private.start()
    first = private.pid()
    private.start()
    assert private.pid() == first
    assert private.stop() is True
    assert private.stop() is False


def test_it_survives_being_killed(private: PrivateEngine) -> None:
    private.start()
    first = private.pid()
    assert first is not None
    os.kill(first, 9)
    os.waitpid(first, 0)
    assert private.pid() is None
    private.start()
    assert private.pid() not in (None, first)
    assert private.answers()


# In a process of its own, whose /run/containerd nobody else sees.
BESIDE = """
import sys
from pathlib import Path
from rehearsal.engine import PrivateEngine
engine = PrivateEngine(Path(sys.argv[1]))
engine.start()
print(engine.answers(), flush=True)
engine.stop()
"""


def test_it_leaves_the_systems_containerd_alone(private: PrivateEngine) -> None:
    # Of the system's there is the name alone: who asks it gets no answer.
    hide = "mkdir -p /run/containerd && mount -t tmpfs none /run/containerd && "
    listen = "import socket; socket.socket(socket.AF_UNIX).bind('/run/containerd/containerd.sock')"
    script = f'{hide} "$1" -c "{listen}" && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "--propagation=private", "sh", "-c", script, "sh"]
        + [sys.executable, "-c", BESIDE, str(private.cache)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


class EngineThatFails(PrivateEngine):
    """Its dockerd ends with the words in data/buildkit/words, while they are there.

    A stand-in for what takes thousands of builds; with no words it is the real dockerd.
    """

    def environment(self) -> dict[str, str]:
        programs = self.cache / "programs"
        programs.mkdir(exist_ok=True)
        given = super().environment()
        real = shutil.which("dockerd", path=given["PATH"])
        words = self.data / "buildkit" / "words"
        script = f"#!/bin/sh\ncat '{words}' 2>/dev/null && exit 1\nexec '{real}' \"$@\"\n"
        (programs / "dockerd").write_text(script)
        (programs / "dockerd").chmod(0o755)
        return {**given, "PATH": f"{programs}{os.pathsep}{given['PATH']}"}

    def fails_with(self, words: str) -> None:
        (self.data / "buildkit" / "words").write_text(words)


def test_a_build_cache_that_dockerd_cannot_read_in_time_is_emptied_and_images_stay(
    private: PrivateEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = EngineThatFails(private.cache)
    engine.start()
    client = connect({**os.environ, **engine.environment()}).client()
    empty = io.BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()
    client.api.import_image_from_data(empty.getvalue(), repository="kept", tag="one")
    client.close()
    engine.stop()
    engine.fails_with("context deadline exceeded\n")
    engine.start()
    assert "the build cache grew too large" in capfd.readouterr().err
    client = connect({**os.environ, **engine.environment()}).client()
    assert client.images.get("kept:one")
    client.close()


def test_another_failure_of_dockerd_is_told_and_empties_nothing(private: PrivateEngine) -> None:
    engine = EngineThatFails(private.cache)
    engine.start()
    engine.stop()
    engine.fails_with("no space left on device\n")
    with pytest.raises(EngineError, match="no space left on device"):
        engine.start()
    assert (engine.data / "buildkit" / "cache.db").is_file()
