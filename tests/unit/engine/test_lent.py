"""What a run lends to the engine, a tag or a container, is taken back, whatever ends the run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import docker
import pytest

from made_up_engine import MadeUpEngine, Request, made_up_engine
from rocm_images.engine.containers import container
from rocm_images.engine.images import lent_tag
from rocm_images.supervisor import supervisor

ID = "sha256:" + "0" * 64
NAME = "registry.example.org/a:1"
Lend = Callable[[docker.DockerClient], AbstractContextManager[object]]


def a_tag(client: docker.DockerClient) -> AbstractContextManager[object]:
    return lent_tag(client, ID, "registry.example.org/a", "1")


def a_container(client: docker.DockerClient) -> AbstractContextManager[object]:
    return container(client, ID, ["true"], labels={})


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[MadeUpEngine]:
    with made_up_engine(tmp_path / "engine.sock") as found:
        image = {"Id": ID, "RepoTags": ["a:own"], "Config": {"Labels": {}}}
        found.answers["GET /images/.*/json"] = lambda _: (200, image)
        found.answers["POST /(images/.*/tag|containers/create)"] = lambda _: (201, {"Id": "made"})
        found.answers["GET /containers/made/json"] = lambda _: (200, {"Id": "made"})
        found.answers["DELETE /"] = lambda _: (200, [])
        yield found
        supervisor.begin()


def taken_back(engine: MadeUpEngine) -> list[str]:
    return [asked for asked in engine.asked if asked.startswith("DELETE")]


@pytest.mark.parametrize("lend", [a_tag, a_container])
def test_it_is_taken_back_with_its_block(engine: MadeUpEngine, lend: Lend) -> None:
    client = engine.engine.client()
    with lend(client):
        assert taken_back(engine) == []
    client.close()
    assert len(taken_back(engine)) == 1


@pytest.mark.parametrize("lend", [a_tag, a_container])
def test_it_is_taken_back_when_the_run_ends_while_the_engine_makes_it(
    engine: MadeUpEngine, lend: Lend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rocm_images.supervisor.UNDO_SECONDS", 120)
    asked, go_on, over = threading.Event(), threading.Event(), threading.Event()
    order: list[str] = []

    def make(_: Request) -> tuple[int, object]:
        asked.set()
        go_on.wait(60)
        order.append("made")
        return 201, {"Id": "made"}

    def take_back(_: Request) -> tuple[int, object]:
        order.append("taken back")
        return 200, []

    engine.answers["POST /(images/.*/tag|containers/create)"] = make
    engine.answers["DELETE /"] = take_back
    client = engine.engine.client()

    def use() -> None:
        with lend(client):
            over.wait(60)

    thread = threading.Thread(target=use)
    thread.start()
    assert asked.wait(60)
    stopping = threading.Thread(target=supervisor.stop)
    stopping.start()
    # Whoever does not wait for what is being made takes it back by now.
    stopping.join(0.2)
    go_on.set()
    stopping.join()
    assert order == ["made", "taken back"]
    over.set()
    thread.join()
    client.close()


def test_a_tag_of_the_images_own_is_left_alone(engine: MadeUpEngine) -> None:
    own = {"Id": ID, "RepoTags": [NAME], "Config": {"Labels": {}}}
    engine.answers["GET /images/.*/json"] = lambda _: (200, own)
    client = engine.engine.client()
    with a_tag(client):
        pass
    client.close()
    assert taken_back(engine) == []


@pytest.mark.parametrize(("lend", "status"), [(a_tag, 404), (a_container, 404), (a_container, 409)])
def test_what_is_gone_already_is_as_good_as_taken_back(
    engine: MadeUpEngine, lend: Lend, status: int
) -> None:
    engine.answers["DELETE /"] = lambda _: (status, {"message": "it is gone"})
    client = engine.engine.client()
    with lend(client):
        pass
    client.close()
    assert len(taken_back(engine)) == 1
