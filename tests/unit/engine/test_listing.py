"""An engine whose images and containers come and go while it is asked is asked again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from made_up_engine import MadeUpEngine, Request, made_up_engine
from rocm_images.engine.images import images_of
from rocm_images.errors import EngineError
from rocm_images.smoke import emulator

LISTED = [{"Id": "sha256:1", "Labels": None, "RepoTags": ["a:1"]}]
GONE = (404, {"message": "content digest sha256:2: not found"})


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[MadeUpEngine]:
    with made_up_engine(tmp_path / "engine.sock") as found:
        yield found


@pytest.mark.parametrize(("times", "ends"), [(0, True), (2, True), (99, False)])
def test_images_are_listed_though_one_goes_away_meanwhile(
    engine: MadeUpEngine, times: int, ends: bool
) -> None:
    left = [GONE] * times

    def listed(_: Request) -> tuple[int, object]:
        return left.pop() if left else (200, LISTED)

    engine.answers["GET /images/json"] = listed
    client = engine.engine.client()
    if ends:
        assert [image.image_id for image in images_of(client, ["a:1"])] == ["sha256:1"]
    else:
        with pytest.raises(EngineError, match=r"cannot list its images .*content digest"):
            images_of(client, ["a:1"])
    client.close()


def test_what_a_killed_run_left_is_removed_after_a_day_though_another_run_removes_it_too(
    engine: MadeUpEngine,
) -> None:
    day = 24 * 3600
    found = [{"Id": "old", "Created": int(time.time()) - 2 * day}, {"Id": "new", "Created": day**2}]
    engine.answers["GET /containers/json"] = lambda _: (200, found)
    engine.answers["POST /containers/create"] = lambda _: (201, {"Id": "made"})
    engine.answers["GET /containers/made/json"] = lambda _: (200, {"Id": "made"})
    engine.answers["DELETE /"] = lambda _: (404, {"message": "no such container"})
    client = engine.engine.client()
    with emulator.lent(client) as holder:
        assert holder == "made"
        removed = [asked for asked in engine.asked if asked.startswith("DELETE")]
        assert len(removed) == 1
        assert "/containers/old" in removed[0]
    client.close()
