"""Of an image it is told how large it is compressed and unpacked, as far as its engine knows."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from made_up_engine import made_up_engine
from rocm_images.engine.image_store import sizes_of
from rocm_images.errors import InputError
from rocm_images.sizes import Sizes

CONTAINERD = [["driver-type", "io.containerd.snapshotter.v1"]]
OVERLAY2 = [["Backing Filesystem", "extfs"]]
LAYERS = [{"Size": 500, "CreatedBy": "COPY"}, {"Size": 0, "CreatedBy": "ENV"}, {"Size": 250}]


@pytest.mark.parametrize(
    ("driver", "found", "words"),
    [
        (CONTAINERD, Sizes(318, 750), "318 bytes compressed, 750 bytes unpacked"),
        (OVERLAY2, Sizes(None, 318), "compressed not known, 318 bytes unpacked"),
    ],
    ids=["containerd", "overlay2"],
)
def test_what_an_engine_calls_the_size_depends_on_how_it_keeps_layers(
    tmp_path: Path, driver: list[list[str]], found: Sizes, words: str
) -> None:
    with made_up_engine(tmp_path / "engine.sock") as engine:
        engine.answers["GET /info"] = lambda _: (200, {"DriverStatus": driver})
        engine.answers["GET /images/.*/json"] = lambda _: (200, {"Id": "sha256:1", "Size": 318})
        engine.answers["GET /images/.*/history"] = lambda _: (200, LAYERS)
        with closing(engine.engine.client()) as client:
            assert sizes_of(client, ["a:1"]) == {"a:1": found}
    assert str(found) == words


def test_an_image_that_the_engine_has_not_is_a_sentence(tmp_path: Path) -> None:
    with made_up_engine(tmp_path / "engine.sock") as engine:
        engine.answers["GET /info"] = lambda _: (200, {})
        engine.answers["GET /images/.*/json"] = lambda _: (404, {"message": "No such image"})
        with (
            closing(engine.engine.client()) as client,
            pytest.raises(InputError, match="build or pull it first"),
        ):
            sizes_of(client, ["a:1"])
