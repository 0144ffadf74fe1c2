"""Whoever is waited for is named: after two seconds at a terminal, else where it is asked again."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from made_up_engine import made_up_engine
from made_up_programs import COSIGN_VERSION
from made_up_registry import GOOD, MadeUpRegistry, Request, digest, says
from rocm_images import telling, waiting
from rocm_images.engine.images import BUILD_ID, pull
from rocm_images.lock import upstream
from rocm_images.lock.changes import Wanted
from rocm_images.lock.upstream import Unresolved, Upstream
from rocm_images.registry import retries
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.cosign import Cosign, Trust
from rocm_images.registry.retries import Retries
from rocm_images.telling import PROGRAM, Volume
from rocm_images.waiting import waiting_for

DEADLINE = 60.0
"""Seconds after which what is to be said has not been."""


class Told:
    """What was said, and whether anything was."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.something = threading.Event()

    def step(self, text: str) -> None:
        self.lines.append(text)
        self.something.set()

    def wait(self, _: object = None) -> None:
        assert self.something.wait(DEADLINE), "nothing was said"


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    found = Told()
    monkeypatch.setattr(telling, "step", found.step)
    monkeypatch.setattr(waiting, "_said", {})
    monkeypatch.setattr(retries, "sleep", lambda seconds: None)
    return found


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """One at which a moment is long."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(waiting, "SECONDS", 0.05)


@pytest.fixture
def registry() -> Iterator[MadeUpRegistry]:
    with MadeUpRegistry() as found:
        yield found


def there(registry: MadeUpRegistry, attempts: int = 1) -> Repository:
    address = RegistryAddress.parse(registry.address)
    return Repository(address, "some/image", retries=Retries(attempts))


def once_told(told: Told, then: Callable[[Request], object]) -> Callable[[Request], object]:
    """Answers once something was said, and breaks off where nothing was."""
    return lambda request: then(request) if told.something.wait(DEADLINE) else None


def test_a_registry_that_is_slow_is_named_at_a_terminal(
    told: Told, terminal: None, registry: MadeUpRegistry
) -> None:
    registry.answers = once_told(told, registry.as_registries_do)
    assert there(registry).digest_of("t") == digest(GOOD)
    assert told.lines == [f"{PROGRAM}: waiting for {registry.address}"]


def test_a_registry_that_an_engine_waits_for_is_named(
    told: Told, terminal: None, tmp_path: Path
) -> None:
    host = "registry.example.org:5000"
    image = {"Id": "sha256:1", "RepoTags": [], "Config": {"Labels": {BUILD_ID: "one"}}}
    with made_up_engine(tmp_path / "engine.sock") as made_up:

        def pulled(_: object) -> tuple[int, object]:
            told.wait()
            return 200, {"status": "Pulling from some/image"}

        made_up.answers["POST /images/create"] = pulled
        made_up.answers["GET /images/"] = lambda _: (200, image)
        found = pull(made_up.engine, f"{host}/some/image@sha256:{'1' * 64}", "one")
    assert found.image_id == "sha256:1"
    assert told.lines == [f"{PROGRAM}: waiting for {host}"]


class Clock:
    """Stands for a timer, whose time never comes."""

    def __init__(self, seconds: float, _: object) -> None:
        assert seconds == waiting.SECONDS
        self.did: list[str] = []
        CLOCKS.append(self)

    def start(self) -> None:
        self.did.append("start")

    def cancel(self) -> None:
        self.did.append("cancel")


CLOCKS: list[Clock] = []


@pytest.mark.parametrize(("at_terminal", "did"), [(True, ["start", "cancel"]), (False, ["cancel"])])
def test_a_clock_runs_at_a_terminal_alone_and_until_the_answer(
    told: Told,
    registry: MadeUpRegistry,
    monkeypatch: pytest.MonkeyPatch,
    at_terminal: bool,
    did: list[str],
) -> None:
    CLOCKS.clear()
    monkeypatch.setattr(waiting, "Timer", Clock)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: at_terminal, raising=False)
    assert there(registry).digest_of("t") == digest(GOOD)
    assert [clock.did for clock in CLOCKS] == [did]
    assert told.lines == []


def test_without_a_terminal_each_further_attempt_is_a_line(
    told: Told, registry: MadeUpRegistry
) -> None:
    registry.answers = says(503)
    with pytest.raises(Exception, match="it answered 503"):
        there(registry, attempts=4).digest_of("t")
    assert told.lines == [
        f"{PROGRAM}: waiting for {registry.address}, attempt {number} of 4 "
        "(it answered 503 Service Unavailable)"
        for number in (2, 3, 4)
    ]


def test_what_is_tried_again_within_a_moment_is_not_told_at_a_terminal(
    told: Told, terminal: None, registry: MadeUpRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "SECONDS", DEADLINE)
    answers = iter([says(503), says(503), registry.as_registries_do])
    registry.answers = lambda request: next(answers)(request)
    assert there(registry, attempts=3).digest_of("t") == digest(GOOD)
    assert told.lines == []


def test_at_a_terminal_the_attempt_at_work_is_told_and_each_after_it(
    told: Told, terminal: None, registry: MadeUpRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.answers = says(503)
    # The moment ends between the first attempt and the second.
    monkeypatch.setattr(retries, "sleep", told.wait)
    with pytest.raises(Exception, match="it answered 503"):
        there(registry, attempts=3).digest_of("t")
    assert told.lines == [
        f"{PROGRAM}: waiting for {registry.address}, attempt {number} of 3 "
        "(it answered 503 Service Unavailable)"
        for number in (2, 3)
    ]


def test_a_registry_that_is_not_there_is_named(told: Told, registry: MadeUpRegistry) -> None:
    registry.close()
    with pytest.raises(Exception, match="Connection refused"):
        there(registry, attempts=2).digest_of("t")
    (line,) = told.lines
    assert line.startswith(f"{PROGRAM}: waiting for {registry.address}, attempt 2 of 2 (")


def test_many_questions_at_once_are_one_line(
    told: Told, terminal: None, registry: MadeUpRegistry
) -> None:
    questions = 5
    arrived = threading.Barrier(questions)
    spoken = threading.Barrier(questions)

    def ask() -> None:
        with waiting_for(registry.address) as wait:
            arrived.wait(DEADLINE)
            told.wait()
            wait.again(2, 2, "it is busy")
            spoken.wait(DEADLINE)

    threads = [threading.Thread(target=ask) for _ in range(questions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert set(told.lines) == {
        f"{PROGRAM}: waiting for {registry.address}",
        f"{PROGRAM}: waiting for {registry.address}, attempt 2 of 2 (it is busy)",
    }
    assert len(told.lines) == 2


def test_the_same_is_told_again_later(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("rocm_images.waiting.time.monotonic", lambda: now[0])
    for moment, lines in ((0.0, 1), (waiting.AGAIN_SECONDS - 1, 1), (1.0, 2)):
        now[0] += moment
        with waiting_for("elsewhere.example.org") as wait:
            wait.again(2, 2, "it is busy")
        assert len(told.lines) == lines


def test_q_keeps_it_quiet(
    terminal: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(telling, "_volume", Volume.QUIET)
    for volume, lines in ((Volume.QUIET, 0), (Volume.NORMAL, 1)):
        telling.set_volume(volume)
        monkeypatch.setattr(waiting, "_said", {})
        with waiting_for("elsewhere.example.org") as wait:
            wait.again(2, 2, "it is busy")
        assert capsys.readouterr().err.count("waiting for elsewhere.example.org") == lines


def test_cosign_is_waited_for_in_the_registrys_name(
    told: Told, terminal: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "end")
    program = tmp_path / "cosign"
    program.write_text(f'#!/bin/sh\n{COSIGN_VERSION}\nread end < "${{0%/*}}/end"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    ours = Cosign(RegistryAddress.parse("127.0.0.1:5000"), os.environ)

    def end() -> None:
        told.something.wait(DEADLINE)
        (tmp_path / "end").write_text("now\n")

    ending = threading.Thread(target=end)
    ending.start()
    ours.verify(f"127.0.0.1:5000/a@sha256:{'0' * 64}", Trust("cosign.pub"))
    ending.join()
    assert told.lines == [f"{PROGRAM}: waiting for 127.0.0.1:5000"]


@pytest.mark.parametrize(
    ("wanted", "whom"),
    [
        (Wanted("rocm/pytorch:t", ("a",), git=False), "docker.io"),
        (Wanted("registry.example.org:5000/a:t", ("a",), git=False), "registry.example.org:5000"),
        (Wanted("https://git.example.org/a.git#v1", ("a",), git=True), "https://git.example.org/"),
    ],
)
def test_a_name_of_the_lock_is_waited_for(
    told: Told, terminal: None, monkeypatch: pytest.MonkeyPatch, wanted: Wanted, whom: str
) -> None:
    def never(*_: object) -> str:
        told.wait()
        raise Unresolved("nobody answers")

    monkeypatch.setattr(upstream, "commit_of", never)
    monkeypatch.setattr(upstream, "digest_by_buildx", never)
    with pytest.raises(Unresolved):
        Upstream(None).answer(wanted)
    (line,) = told.lines
    assert line.startswith(f"{PROGRAM}: waiting for {whom}")
