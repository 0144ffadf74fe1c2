"""Whoever is waited for is named, with the time: after two seconds at a terminal, else after 30."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from requests.exceptions import ConnectionError as Broken
from requests.exceptions import ReadTimeout as TimedOut

from made_up_engine import made_up_engine
from made_up_programs import COSIGN_VERSION
from made_up_registry import GOOD, MadeUpRegistry, Request, digest, says
from rocm_images import supervisor as supervising
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
from rocm_images.waiting import Clock, Wait, duration, waiting_for
from told import DEADLINE, Told, hasty_terminal, heard


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    monkeypatch.setattr(retries, "sleep", lambda seconds: None)
    return heard(monkeypatch)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    hasty_terminal(monkeypatch)


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


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which only the test changes; what the clock's own thread would do, it does."""
    found = [1000.0]
    monkeypatch.setattr("rocm_images.waiting.time.monotonic", lambda: found[0])
    monkeypatch.setattr(Clock, "_run", lambda self: None)
    return found


def passes(now: list[float], seconds: float) -> None:
    now[0] += seconds
    waiting.clock.look(now[0])


def test_without_a_terminal_a_line_every_half_minute_says_for_how_long_already(
    told: Told, now: list[float]
) -> None:
    with waiting_for("mmdebstrap") as wait:
        for _ in range(29 * 10):
            passes(now, 0.1)
        assert told.lines == []
        wait.at("I: extracting archives")
        passes(now, 1.1)
        passes(now, 29)
        passes(now, 1)
    assert told.lines == [
        f"{PROGRAM}: waiting {age} for mmdebstrap: I: extracting archives"
        for age in ("30 s", "1 min 0 s")
    ]
    passes(now, 100)
    assert len(told.lines) == 2


def test_at_a_terminal_a_line_is_redrawn_from_two_seconds_on(
    told: Told, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    drawn: list[str] = []
    monkeypatch.setattr(telling, "standing", lambda text: drawn.append(text) or True)
    with waiting_for("a"):
        passes(now, 1.4)
        with waiting_for("b"):
            for _ in range(3):
                passes(now, 1.0)
    assert [line for line in drawn if line] == [
        f"{PROGRAM}: waiting 2 s for a",
        f"{PROGRAM}: waiting 3 s for a; and 1 more",
        f"{PROGRAM}: waiting 4 s for a; and 1 more",
    ]
    # Nothing stands once nobody is waited for.
    assert drawn[-1] == ""
    assert told.lines == []


def test_a_terminal_that_cannot_redraw_has_lines(
    told: Told, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    with waiting_for("a"):
        for _ in range(65):
            passes(now, 0.5)
    assert told.lines == [f"{PROGRAM}: waiting {age} s for a" for age in (1, 31)]


def test_questions_that_follow_one_another_are_one_wait(told: Told, now: list[float]) -> None:
    for _ in range(100):
        with waiting_for("a"):
            passes(now, 0.3)
        now[0] += 0.1
    assert told.lines == [f"{PROGRAM}: waiting 30 s for a"]
    now[0] += 1
    with waiting_for("a"):
        passes(now, 29)
    assert len(told.lines) == 1


def test_many_short_waits_without_a_word_are_no_silence(
    told: Told, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    told.spoken = now[0]
    for number in range(12):
        with waiting_for(f"package {number}"):
            passes(now, 7)
    assert told.lines == [f"{PROGRAM}: waiting 7 s for package {number}" for number in (4, 9)]
    hasty_terminal(monkeypatch)
    monkeypatch.setattr(waiting, "SECONDS", 2.0)
    told.spoken = now[0]
    for letter in "abc":
        with waiting_for(letter):
            passes(now, 0.9)
    assert told.drawn == [f"{PROGRAM}: waiting a moment for c"]


def test_two_that_wait_for_the_same_are_one_line(told: Told, now: list[float]) -> None:
    with waiting_for("a"):
        passes(now, 20)
        with waiting_for("a"):
            passes(now, 10)
        passes(now, 29)
    assert told.lines == [f"{PROGRAM}: waiting 30 s for a"]


def test_an_engines_call_is_said_only_where_nothing_else_is(told: Told, now: list[float]) -> None:
    with waiting_for("the engine", otherwise=True):
        with waiting_for("a"):
            passes(now, 30)
        passes(now, 1)
    assert told.lines == [
        f"{PROGRAM}: waiting 30 s for a",
        f"{PROGRAM}: waiting 31 s for the engine",
    ]


@pytest.mark.parametrize("quiet", [True, False])
def test_a_run_that_is_being_stopped_or_is_quiet_says_nothing_more(
    told: Told, now: list[float], monkeypatch: pytest.MonkeyPatch, quiet: bool
) -> None:
    with waiting_for("a"):
        passes(now, 30)
        assert len(told.lines) == 1
        if quiet:
            monkeypatch.setattr(telling, "_volume", Volume.QUIET)
        else:
            supervising.supervisor.stop()
            assert supervising.clock.hushed
            waiting.clock.hushed = True
        passes(now, 30)
        assert len(told.lines) == 1
    supervising.supervisor.begin()
    assert not supervising.clock.hushed


def test_how_far_it_is_may_be_looked_up_and_may_fail(told: Told, now: list[float]) -> None:
    sizes = iter(["1 GB"])

    def size() -> str:
        for found in sizes:
            return found
        raise FileNotFoundError

    with waiting_for("cosign") as wait:
        wait.at(size)
        passes(now, 30)
        passes(now, 30)
    assert told.lines == [
        f"{PROGRAM}: waiting 30 s for cosign: 1 GB",
        f"{PROGRAM}: waiting 1 min 0 s for cosign",
    ]


def test_a_narrow_terminal_has_the_age_of_a_step_and_how_far_it_is(now: list[float]) -> None:
    words = "sglang-942-rocm7.2.2  push v0.5.21-rocm722-mi30x-rehearsal-3aaf64a6a180"
    wait = Wait("a cell", words=words)
    wait.at("12 of 32 layers, 210.4 MB, 31.2 MB/s")
    now[0] += 75
    line = wait.line(now[0], 79)
    assert len(line) == 79
    assert line == f"{words[:26]}..., 1 min 15 s: 12 of 32 layers, 210.4 MB, 31.2 MB/s"
    assert wait.line(now[0]).startswith(f"{words}, 1 min 15 s: 12 of")
    # So narrow that the end goes after all.
    assert wait.line(now[0], 20).startswith(f"{words[:13]}..., 1 min 15 s")


def test_each_step_of_a_wait_is_a_line_without_a_terminal(
    told: Told, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with waiting_for("a") as wait:
        wait.step("RUN one")
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        wait.step("RUN two")
        assert wait.line(now[0]) == f"{PROGRAM}: waiting for a: RUN two"
    assert told.lines == [f"{PROGRAM}: waiting for a: RUN one"]


def test_a_pause_before_the_next_attempt_is_counted_down_until_it_is_over(
    now: list[float],
) -> None:
    wait = Wait("a")
    wait.again(3, 6, "it is busy", 7.6)
    for passed, soon in ((0.0, " in 8 s"), (4.0, " in 4 s"), (3.0, "")):
        now[0] += passed
        assert wait.line(now[0]).endswith(f" for a: it is busy, attempt 3 of 6{soon}")
    wait.asks()
    assert wait.line(now[0]).endswith("waiting 7 s for a: it is busy, attempt 3 of 6")


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


def test_what_has_only_begun_has_no_age_yet(now: list[float]) -> None:
    wait = Wait("a")
    for passed, age in ((0.0, ""), (0.9, ""), (0.2, " 1 s")):
        now[0] += passed
        assert wait.line(now[0]) == f"{PROGRAM}: waiting{age} for a"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1.99, "1 s"),
        (59.9, "59 s"),
        (270, "4 min 30 s"),
        (3599, "59 min 59 s"),
        (7500, "2 h 5 min"),
    ],
)
def test_a_duration_has_two_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words


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
    monkeypatch.setattr(waiting, "SECONDS", DEADLINE)
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
    monkeypatch.setattr(retries, "sleep", lambda _: passes(now, waiting.SECONDS))
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


def test_the_same_is_told_again_later(told: Told, now: list[float]) -> None:
    for moment, lines in ((0.0, 1), (waiting.AGAIN_SECONDS - 1, 1), (1.0, 2)):
        now[0] += moment
        with waiting_for("elsewhere.example.org") as wait:
            wait.again(2, 2, "it is busy")
        assert len(told.lines) == lines


def test_q_keeps_it_quiet(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(telling, "_volume", Volume.QUIET)
    for volume, lines in ((Volume.QUIET, 0), (Volume.NORMAL, 1)):
        telling.set_volume(volume)
        monkeypatch.setattr(waiting, "clock", Clock())
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
        with told.changed:
            told.changed.wait_for(lambda: any("127" in line for line in told.drawn), DEADLINE)
        (tmp_path / "end").write_text("now\n")

    ending = threading.Thread(target=end)
    ending.start()
    ours.verify(f"127.0.0.1:5000/a@sha256:{'0' * 64}", Trust("cosign.pub"))
    ending.join()
    assert f"{PROGRAM}: waiting a moment for 127.0.0.1:5000" in told.drawn


def test_cosign_that_saves_an_image_is_waited_for_with_what_lies_there(
    told: Told, terminal: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "end")
    folder = tmp_path / "layout"
    folder.mkdir()
    program = tmp_path / "cosign"
    program.write_text(
        f"#!/bin/sh\n{COSIGN_VERSION}\nprintf 12345 > {folder}/blob\nread end < {tmp_path}/end\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    ours = Cosign(RegistryAddress.parse("127.0.0.1:5000"), os.environ)
    words = (
        f"{PROGRAM}: waiting a moment for cosign, which saves an image of 127.0.0.1:5000: "
        "5 bytes lie there"
    )

    def end() -> None:
        with told.changed:
            told.changed.wait_for(lambda: words in told.drawn, DEADLINE)
        (tmp_path / "end").write_text("now\n")

    ending = threading.Thread(target=end)
    ending.start()
    ours.save(f"127.0.0.1:5000/a@sha256:{'0' * 64}", folder)
    ending.join()
    assert words in told.drawn


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
