"""Who goes on without an engine that somebody named says so, whatever asked for it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reaching import without_docker
from rehearsal.engine import PrivateEngine
from rehearsal.stand_ins import Rehearsal
from rocm_images import telling
from rocm_images.build.site import RealSite
from rocm_images.lock.upstream import Upstream


@pytest.mark.parametrize(
    "look",
    [
        lambda: RealSite().found_engine(),
        lambda: Rehearsal().found_engine(),
        lambda: Upstream.here().engine,
    ],
    ids=["site", "rehearsal", "lock"],
)
def test_an_engine_that_was_named_is_missed_aloud(
    look: Callable[[], object],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    without_docker(tmp_path, monkeypatch)
    monkeypatch.setattr(PrivateEngine, "pid", lambda engine: None)
    assert look() is None
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent.sock")
    assert look() is None
    said = capsys.readouterr().err
    assert said.startswith(f"{telling.PROGRAM}: warning: no Docker Engine answers at unix://")
    assert said.count("\n") == 1
