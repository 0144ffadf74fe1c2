"""An engine that stalls is said and given up; one that is slow is waited for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from made_up_engine import MadeUpEngine, Request, made_up_engine
from rocm_images.engine import patience
from rocm_images.engine.connect import connect
from rocm_images.engine.patience import Patience, watched
from rocm_images.errors import EngineError
from rocm_images.streams import TookTooLong


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[MadeUpEngine]:
    with made_up_engine(tmp_path / "engine.sock") as found:
        yield found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(patience, "GIVE_UP_SECONDS", 0.3)


def test_an_engine_that_accepts_and_says_nothing_is_said_once_and_given_up(
    engine: MadeUpEngine, quick: None, capfd: pytest.CaptureFixture[str]
) -> None:
    engine.answers["GET /"] = engine.answers["GET /_ping"] = engine.withhold
    engine.answers["GET /version"] = engine.withhold
    with pytest.raises(EngineError, match=r"has not answered for \d+ s: see whether it still runs"):
        connect({"DOCKER_HOST": engine.engine.address})
    assert capfd.readouterr().err.count("does not answer; it is given 0 s") == 1


def stalls(engine: MadeUpEngine, request: Request) -> None:
    engine.answers["GET /_ping"] = engine.withhold
    engine.withhold(request)


def test_one_that_stalls_in_the_middle_of_a_run_is_given_up(
    engine: MadeUpEngine, quick: None
) -> None:
    engine.answers["GET /images/json"] = lambda request: stalls(engine, request)
    client = engine.engine.client()
    with pytest.raises(EngineError, match="has not answered"):
        client.images.list()
    client.close()


def test_a_call_is_waited_for_as_long_as_the_engine_answers_others(
    engine: MadeUpEngine, quick: None, capfd: pytest.CaptureFixture[str]
) -> None:
    enough = threading.Event()

    def ping(_: Request) -> tuple[int, object]:
        if sum("_ping" in asked for asked in engine.asked) > 8:
            enough.set()
        # A refusal is an answer, too.
        return 400, {"message": "client version 1.44 is too new"}

    engine.answers["GET /_ping"] = ping
    engine.answers["GET /images/json"] = lambda _: (200, []) if enough.wait(60) else None
    client = engine.engine.client()
    assert client.images.list() == []
    client.close()
    assert capfd.readouterr().err == ""


def never(end: threading.Event) -> Iterator[str]:
    yield "first"
    end.wait(60)


def test_events_that_stop_are_given_up_where_the_engine_stalled(
    engine: MadeUpEngine, quick: None
) -> None:
    engine.answers["GET /_ping"] = engine.withhold
    events = Patience(engine.engine.address).each(never(engine.end))
    assert next(events) == "first"
    with pytest.raises(EngineError, match="has not answered"):
        next(events)


def test_events_that_stop_are_given_up_after_a_time_of_their_own(
    engine: MadeUpEngine, quick: None
) -> None:
    events = Patience(engine.engine.address).each(never(engine.end), 0.5)
    assert next(events) == "first"
    with pytest.raises(TookTooLong, match=r"within 0\.5 s"):
        next(events)


def test_events_may_be_far_between_but_not_too_far(engine: MadeUpEngine, quick: None) -> None:
    def far_between() -> Iterator[int]:
        for number in range(6):
            engine.end.wait(0.2)
            yield number
        engine.end.wait(60)

    events = Patience(engine.engine.address).each(far_between(), silence=1.0)
    # Longer together than each alone may be.
    assert [next(events) for _ in range(6)] == [*range(6)]
    with pytest.raises(TookTooLong, match=r"nothing was heard for 1 s"):
        next(events)


def test_what_fails_while_it_is_read_fails_where_it_is_waited_for() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("odd")

    events = Patience("unix:///proc/absent").each(failing())
    assert next(events) == 1
    with pytest.raises(ValueError, match="odd"):
        next(events)


@pytest.mark.parametrize("goes", [True, False])
def test_an_engine_that_went_away_for_a_moment_is_noticed(engine: MadeUpEngine, goes: bool) -> None:
    end = threading.Event()
    engine.answers["GET /events"] = engine.stream(end)
    client = engine.engine.client()
    with watched(client) as went_away:
        if goes:
            end.set()
        assert went_away() is goes
    client.close()
