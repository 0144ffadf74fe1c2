"""Who goes on without an engine that somebody named says so, whatever asked for it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner

from made_up_engine import made_up_engine
from reaching import without_docker
from rehearsal.engine import PrivateEngine
from rehearsal.stand_ins import Rehearsal
from rocm_images import telling
from rocm_images.build.site import RealSite, engine_without_a_site
from rocm_images.cli.main import main
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
        # A verb that knows no --rehearse goes by what the shell says.
        with pytest.raises(EngineError, match=re.escape('rehearsal/engine.py env)"`; else: no ')):
            engine_without_a_site()
        # Somebody who named one means that one.
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/absent.sock")
        with pytest.raises(EngineError, match=r"^no Docker Engine answers at unix"):
            site.engine_of_typed()
        assert site.without_engine == "no engine answers"
        monkeypatch.delenv("DOCKER_HOST")
        monkeypatch.setattr(PrivateEngine, "pid", lambda _: None)
        for look in (site.engine, site.engine_of_typed, engine_without_a_site):
            with pytest.raises(EngineError, match=r"^no Docker Engine answers at unix"):
                look()


@pytest.mark.parametrize(
    ("rehearse", "runs", "why"),
    [
        ([], True, "only a rehearsal's engine runs: add --rehearse"),
        ([], False, "no engine answers"),
        (["--rehearse"], False, "no engine answers"),
    ],
)
def test_a_plan_has_the_tags_that_a_build_gives_and_says_once_why_it_does_not_know(
    rehearse: list[str],
    runs: bool,
    why: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_docker(tmp_path, monkeypatch)
    monkeypatch.setattr(PrivateEngine, "pid", lambda _: 1 if runs else None)
    words = ["plan", "--arch", "942", "--base", "7.2.0", "--base", "7.2.2", *rehearse]
    suffix = "-rehearsal" if rehearse else ""
    tags = [f"v0.5.21-{one}{suffix}" for one in ("rocm720-mi30x", "rocm722-mi30x", "mi30x")]
    table = CliRunner().invoke(main, words)
    _, *rows, said = table.stdout.splitlines()
    assert [word for row in rows for word in row.split() if word.startswith("v0.5")] == tags
    assert [row.split()[-1] for row in rows] == ["unknown"] * 2
    document = CliRunner().invoke(main, [*words, "--json"])
    assert said == document.stderr.rstrip("\n") == f"the state is unknown: {why}"
    cells = json.loads(document.stdout)
    assert [tag for cell in cells for tag in cell["tags"]] == tags
    assert {cell["state"] for cell in cells} == {"unknown"}
