"""A pull and a push say their layers, bytes and rate, and no total that moves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from made_up_engine import Answer, MadeUpEngine, Request, made_up_engine
from made_up_registry import MadeUpRegistry
from rocm_images.engine.images import BUILD_ID, pull
from rocm_images.engine.transfer import Transfer
from rocm_images.errors import RegistryError
from rocm_images.publishing.push import push
from rocm_images.registry import retries
from rocm_images.registry.address import RegistryAddress
from rocm_images.registry.client import Repository
from rocm_images.registry.retries import Retries

MEGABYTE = 1_000_000


def event(layer: str, status: str, megabytes: int | None = None) -> dict[str, Any]:
    detail = {} if megabytes is None else {"current": megabytes * MEGABYTE, "total": 10**9}
    return {"id": layer, "status": status, "progressDetail": detail}


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found = [1000.0]
    monkeypatch.setattr("rocm_images.engine.transfer.time.monotonic", lambda: found[0])
    return found


def test_the_total_is_what_was_announced_before_the_first_layer_moved(now: list[float]) -> None:
    moved, told = Transfer(), []
    for one in (
        *(event(layer, "Pulling fs layer") for layer in "abc"),
        event("d", "Already exists"),
        event("a", "Downloading", 10),
        event("b", "Downloading", 5),
        event("a", "Download complete"),
        event("a", "Extracting", 700),
        event("a", "Pull complete"),
    ):
        now[0] += 1
        moved.take(one)
        told.append(moved.far)
    assert told[3] == "1 layer"
    assert told[4] == "1 of 4 layers, 10.0 MB, 2.0 MB/s"
    assert told[5] == "1 of 4 layers, 15.0 MB, 2.5 MB/s"
    # What is unpacked is not pulled.
    assert told[8].startswith("2 of 4 layers, 15.0 MB")


def test_a_layer_that_nobody_announced_leaves_no_total_rather_than_another(
    now: list[float],
) -> None:
    moved = Transfer()
    for one in (event("a", "Downloading", 1), event("b", "Downloading", 1)):
        moved.take(one)
    assert moved.far == "0 layers, 2.0 MB"


def test_a_total_that_is_known_stays_whatever_arrives(now: list[float]) -> None:
    moved = Transfer(3)
    for layer in "abcd":
        assert moved.take(event(layer, "Preparing"))
        assert moved.far == "0 of 3 layers"
    for layer in "ab":
        moved.take(event(layer, "Pushed"))
    assert moved.far == "2 of 3 layers"


def test_the_rate_is_about_the_last_seconds(now: list[float]) -> None:
    moved = Transfer(1)
    for second in range(1, 31):
        now[0] += 1
        # Ten seconds of 10 MB/s, then 1 MB/s.
        moved.take(event("a", "Pushing", 10 * min(second, 10) + max(second - 10, 0)))
    assert moved.far == "0 of 1 layer, 120.0 MB, 1.0 MB/s"


@pytest.mark.parametrize("detail", [None, [], {}, {"current": "1"}, {"current": -1}])
def test_a_size_that_is_none_counts_as_nothing(detail: object) -> None:
    moved = Transfer(1)
    moved.take({"id": "a", "status": "Pushing", "progressDetail": detail})
    assert moved.far == "0 of 1 layer"


def test_what_is_about_no_layer_says_nothing_of_how_far_it_is() -> None:
    moved = Transfer()
    assert not moved.take({"status": "The push refers to repository [a/b]"})
    assert not moved.take({"id": "latest", "status": "Pulling from a/b"})
    assert not moved.take({"id": "a", "status": "Verifying Checksum"})


def stream(*events: dict[str, Any]) -> Answer:
    """An answer of several documents, as the engine's of a pull and a push are."""

    def answer(request: Request) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        for one in events:
            content = json.dumps(one).encode() + b"\n"
            request.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        request.wfile.write(b"0\r\n\r\n")

    return answer


def test_a_pull_tells_its_step_and_how_far_it_is(tmp_path: Path) -> None:
    reference = f"registry.example.org/some/image@sha256:{'1' * 64}"
    image = {"Id": "sha256:1", "RepoTags": [], "Config": {"Labels": {BUILD_ID: "one"}}}
    told: list[tuple[str, str]] = []
    with made_up_engine(tmp_path / "engine.sock") as engine:
        engine.answers["POST /images/create"] = stream(
            {"status": "Pulling from some/image"},
            event("a", "Pulling fs layer"),
            event("a", "Downloading", 3),
            event("a", "Pull complete"),
        )
        engine.answers["GET /images/"] = lambda _: (200, image)
        pull(engine.engine, reference, "one", lambda step, far="": told.append((step, far)))
    step = f"pull {reference}"
    assert told == [
        (step, ""),
        (step, "0 layers"),
        (step, "0 of 1 layer, 3.0 MB"),
        (step, "1 of 1 layer, 3.0 MB"),
    ]


def pushing(engine: MadeUpEngine, *events: dict[str, Any], attempts: int = 1) -> list[str]:
    """What a push of an image of three layers tells."""
    image = {"Id": "sha256:1", "RepoTags": [], "RootFS": {"Layers": ["x", "y", "z", "z"]}}
    engine.answers["POST /images/[^/]+/push|POST /images/.*/push"] = stream(*events)
    engine.answers["POST /images/.*/tag"] = lambda _: (201, {})
    engine.answers["GET /images/"] = lambda _: (200, image)
    engine.answers["DELETE /images/"] = lambda _: (200, [])
    told: list[str] = []
    with MadeUpRegistry() as registry:
        address = RegistryAddress.parse(registry.address)
        there = Repository(address, "some/image", retries=Retries(attempts))
        try:
            push(
                engine.engine, "sha256:1", there, "v1", lambda *words: told.append(": ".join(words))
            )
        except RegistryError as error:
            told.append(str(error))
    return told


def test_a_push_has_one_total_from_its_first_layer_on(tmp_path: Path) -> None:
    with made_up_engine(tmp_path / "engine.sock") as engine:
        told = pushing(
            engine,
            event("a", "Preparing"),
            event("a", "Pushing", 2),
            event("b", "Preparing"),
            event("b", "Layer already exists"),
            event("a", "Pushed"),
        )
    assert told == [
        "push v1",
        "push v1: 0 of 3 layers",
        "push v1: 0 of 3 layers, 2.0 MB",
        "push v1: 0 of 3 layers, 2.0 MB",
        "push v1: 1 of 3 layers, 2.0 MB",
        "push v1: 2 of 3 layers, 2.0 MB",
    ]


def test_a_push_that_is_tried_again_says_so_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "sleep", lambda seconds: None)
    with made_up_engine(tmp_path / "engine.sock") as engine:
        told = pushing(engine, {"error": "it is busy"}, attempts=2)
    # A row of the table is drawn as it was told: no seconds that pass meanwhile.
    again = "push v1: it is busy, attempt 2 of 2"
    assert told[:4] == ["push v1", again, again, "push v1"]
