"""Who goes on without an engine that somebody named says so, whatever asked for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from made_up_engine import made_up_engine
from reaching import without_docker
from rehearsal.engine import PrivateEngine
from rehearsal.stand_ins import Rehearsal
from rocm_images import telling
from rocm_images.build.site import RealSite
from rocm_images.errors import EngineError
from rocm_images.lock.upstream import Upstream
from rocm_images.smoke import emulator


@pytest.mark.parametrize(
    "look",
    [
        lambda: RealSite().found_engine(),
        lambda: Rehearsal().found_engine(),
        lambda: Upstream.here(None, 1).engine,
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


def test_what_the_engine_of_a_rehearsal_has_is_found_or_it_is_said_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_docker(tmp_path, monkeypatch)
    monkeypatch.setattr(emulator, "is_there", lambda _: True)
    hint = "the engine of a rehearsal runs: add --rehearse for its images"
    site = RealSite()
    with made_up_engine(tmp_path / "private.sock") as private:
        there = {"DOCKER_HOST": private.engine.address}
        monkeypatch.setattr(PrivateEngine, "environment", lambda _: there)
        monkeypatch.setattr(PrivateEngine, "only_one", lambda _: nullcontext())
        monkeypatch.setattr(PrivateEngine, "pid", lambda _: 1)
        # A reference that is typed is whole; a cell's has another tag there.
        assert site.engine_of_typed().address == private.engine.address
        with pytest.raises(EngineError, match=f"^{hint}; else: no Docker Engine answers"):
            site.engine()
        assert (site.found_engine(), site.without_engine) == (
            None,
            "only a rehearsal's engine runs: add --rehearse",
        )
        # Somebody who named one means that one.
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent.sock")
        with pytest.raises(EngineError, match=r"^no Docker Engine answers at unix"):
            site.engine_of_typed()
        assert site.without_engine == "no engine answers"
        monkeypatch.delenv("DOCKER_HOST")
        monkeypatch.setattr(PrivateEngine, "pid", lambda _: None)
        for look in (site.engine, site.engine_of_typed):
            with pytest.raises(EngineError, match=r"^no Docker Engine answers at unix"):
                look()
