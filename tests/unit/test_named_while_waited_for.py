"""Registries, engines, cosign and what the lock names are named while they are waited for."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from requests.exceptions import ConnectionError as Broken
from requests.exceptions import ReadTimeout as TimedOut

from made_up_engine import made_up_engine
from made_up_programs import COSIGN_VERSION
from made_up_registry import GOOD, MadeUpRegistry, Request, digest, says
from rocm_images import clock, waiting
from rocm_images.engine.images import BUILD_ID, pull
from rocm_images.lock import upstream
from rocm_images.lock.changes import Wanted
from rocm_images.lock.upstream import Unresolved, Upstream
from rocm_images.registry import retries
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.cosign import Cosign, Trust
from rocm_images.registry.retries import Retries
from rocm_images.telling import PROGRAM
from rocm_images.waiting import waiting_for
from told import DEADLINE, Slow, Told, passes


@pytest.fixture(autouse=True)
def no_pauses(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "sleep", lambda seconds: None)


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
    assert set(told.drawn) == {f"{PROGRAM}: waiting a moment for {registry.address}"}
    assert told.lines == []


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
    assert set(told.drawn) == {f"{PROGRAM}: waiting a moment for {host}"}


def test_a_narrow_terminal_has_the_reason_of_an_attempt_whole(
    now: list[float], registry: MadeUpRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.answers = says(503)
    drawn: list[str] = []
    monkeypatch.setattr(
        retries,
        "sleep",
        lambda _: drawn.extend(waiting.clock.lines(now[0], 79, silent=True)),
    )
    with pytest.raises(Exception, match="it answered 503 Service Unavailable"):
        there(registry, attempts=2).digest_of("t")
    (line,) = drawn
    assert re.search(r": 503, attempt 2 of 2 in \d s$", line)
    assert len(line) < 80


@pytest.mark.parametrize(
    ("failure", "short"),
    [
        (TimedOut("read timeout=30"), "no answer in time"),
        (Broken(OSError(111, "Connection refused")), "Connection refused"),
        (Broken("Connection aborted."), "it broke off"),
        (RuntimeError("it is busy"), "it is busy"),
        (RuntimeError("denied: " + "x" * 60), "denied: " + "x" * 37 + "..."),
    ],
)
def test_a_short_reason_is_a_few_words(failure: Exception, short: str) -> None:
    assert retries.short_reason_of(failure) == short


def test_a_port_at_which_nobody_listens_refuses() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        with pytest.raises(requests.ConnectionError) as raised:
            requests.get(f"http://127.0.0.1:{held.getsockname()[1]}/v2/", timeout=30)
    assert retries.short_reason_of(raised.value) == "Connection refused"


def test_an_engines_slow_answer_is_waited_for_by_its_address(
    told: Told, terminal: None, tmp_path: Path
) -> None:
    with made_up_engine(tmp_path / "engine.sock") as made_up:

        def listed(_: object) -> tuple[int, object]:
            told.wait()
            return 200, []

        made_up.answers["GET /images/json"] = listed
        client = made_up.engine.client()
        assert client.api.images() == []
        client.close()
    whom = f"the Docker Engine at unix://{tmp_path}/engine.sock"
    assert set(told.drawn) == {f"{PROGRAM}: waiting a moment for {whom}"}


def without_pauses(lines: list[str]) -> list[str]:
    """They have some chance in them."""
    return [re.sub(r" in \d+ s\b", "", line) for line in lines]


def test_without_a_terminal_each_further_attempt_is_a_line(
    told: Told, registry: MadeUpRegistry
) -> None:
    registry.answers = says(503)
    with pytest.raises(Exception, match="it answered 503"):
        there(registry, attempts=4).digest_of("t")
    assert without_pauses(told.lines) == [
        f"{PROGRAM}: waiting for {registry.address}, attempt {number} of 4 "
        "(it answered 503 Service Unavailable)"
        for number in (2, 3, 4)
    ]
    pauses = [int(seconds) for line in told.lines for seconds in re.findall(r" in (\d+) s ", line)]
    assert len(pauses) == 3
    assert pauses == sorted(pauses)


def test_what_is_tried_again_within_a_moment_is_not_told_at_a_terminal(
    told: Told, terminal: None, registry: MadeUpRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "SECONDS", DEADLINE)
    answers = iter([says(503), says(503), registry.as_registries_do])
    registry.answers = lambda request: next(answers)(request)
    assert there(registry, attempts=3).digest_of("t") == digest(GOOD)
    assert told.lines == []


def test_at_a_terminal_the_attempt_at_work_is_drawn_and_each_after_it_is_a_line(
    told: Told,
    terminal: None,
    now: list[float],
    registry: MadeUpRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry.answers = says(503)
    # The moment ends between the first attempt and the second, however long the first one takes.
    monkeypatch.setattr(retries, "sleep", lambda _: passes(now, clock.SECONDS))
    with pytest.raises(Exception, match="it answered 503"):
        there(registry, attempts=3).digest_of("t")
    why = "(it answered 503 Service Unavailable)"
    whom = f"{PROGRAM}: waiting for {registry.address}"
    drawn = f"{PROGRAM}: waiting a moment for {registry.address}: 503, attempt"
    assert without_pauses(told.drawn) == [f"{drawn} {number} of 3" for number in (2, 3)]
    assert without_pauses(told.lines) == [f"{whom}, attempt 3 of 3 {why}"]


def test_a_registry_that_is_not_there_is_named(told: Told, registry: MadeUpRegistry) -> None:
    registry.close()
    with pytest.raises(Exception, match="Connection refused"):
        there(registry, attempts=2).digest_of("t")
    (line,) = without_pauses(told.lines)
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
    whom = f"{PROGRAM}: waiting for {registry.address}"
    assert told.lines == [f"{whom}, attempt 2 of 2 (it is busy)"]
    drawn = f"{PROGRAM}: waiting a moment for {registry.address}"
    assert set(told.drawn) <= {drawn, f"{drawn}: it is busy, attempt 2 of 2"}


@pytest.fixture
def slow_cosign(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Slow:
    """The first on the PATH, which writes five bytes into the folder `layout`."""
    (tmp_path / "layout").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    does = f"{COSIGN_VERSION}\nprintf 12345 > '{tmp_path}/layout/blob'"
    return Slow(tmp_path / "cosign", does)


def of_no_registry() -> Cosign:
    return Cosign(RegistryAddress.parse("127.0.0.1:5000"), os.environ)


AN_IMAGE = f"127.0.0.1:5000/a@sha256:{'0' * 64}"


def test_cosign_is_waited_for_in_the_registrys_name(
    told: Told, terminal: None, slow_cosign: Slow
) -> None:
    slow_cosign.during(
        lambda: of_no_registry().verify(AN_IMAGE, Trust("cosign.pub")),
        told,
        f"{PROGRAM}: waiting a moment for 127.0.0.1:5000",
    )


def test_cosign_that_saves_an_image_is_waited_for_with_what_lies_there(
    told: Told, terminal: None, slow_cosign: Slow, tmp_path: Path
) -> None:
    slow_cosign.during(
        lambda: of_no_registry().save(AN_IMAGE, tmp_path / "layout"),
        told,
        f"{PROGRAM}: waiting a moment for cosign, which saves an image of 127.0.0.1:5000: "
        "5 bytes lie there",
    )


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
    assert told.drawn[0].startswith(f"{PROGRAM}: waiting a moment for {whom}")
