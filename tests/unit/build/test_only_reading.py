"""What reads an image makes and starts nothing before the image is found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import pytest
from click.testing import CliRunner

from made_up_engine import MadeUpEngine, made_up_engine
from reaching import without_docker
from rehearsal import engine as rehearsed
from rehearsal import stand_ins
from rehearsal.engine import PrivateEngine
from rocm_images.build import run as build_run
from rocm_images.cli.main import main
from rocm_images.engine.images import CELL
from rocm_images.errors import EngineError, ExitCode, InputError
from rocm_images.smoke import any_image, emulator

IMAGE, OTHER = "a/name:typed", "b/name:typed"
PROBE, SMOKE = f"probe {IMAGE}", f"smoke --image {IMAGE}"
SIZES, SMOKE_OF_CELLS = (f"{verb} --arch 942 --base 7.2.2" for verb in ("sizes", "smoke"))
READ = [f"sbom {IMAGE}", f"diff {IMAGE} {OTHER}", PROBE, SMOKE, SIZES, SMOKE_OF_CELLS]
ROOT = {stand_ins.DEBIAN_IMAGE: "docker-image://a/root:trixie"}


@contextmanager
def private(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, runs: bool
) -> Iterator[tuple[MadeUpEngine, list[object]]]:
    """A folder's private engine, beside which there is none, and what was started."""
    without_docker(folder, monkeypatch)
    started: list[object] = []
    for module in (rehearsed, stand_ins):
        monkeypatch.setattr(module, "PrivateEngine", lambda: PrivateEngine(folder / "cache"))
    monkeypatch.setattr(PrivateEngine, "pid", lambda _: 1 if runs else None)
    monkeypatch.setattr(PrivateEngine, "start", lambda _: started.append("the engine"))
    monkeypatch.setattr(subprocess, "Popen", lambda words, *_, **__: started.append(words))
    with made_up_engine(folder / "private.sock") as engine:
        there = {"DOCKER_HOST": engine.engine.address}
        monkeypatch.setattr(PrivateEngine, "environment", lambda _: there)
        yield engine, started


def has_only(engine: MadeUpEngine, *images: str) -> None:
    image = {"Id": "sha256:1", "Config": {"Labels": {CELL: "sglang-942-rocm7.2.2"}}}
    for name in images:
        engine.answers[f"GET /images/{name}"] = lambda _: (200, image)
    engine.answers["GET /images/.+/json"] = lambda _: (404, {"message": "No such image"})


def asked(engine: MadeUpEngine) -> list[str]:
    version, *questions = engine.asked
    assert version == "GET /version"
    return [unquote(one.removeprefix("GET /images/").removesuffix("/json")) for one in questions]


def ends(words: str) -> BaseException | None:
    return CliRunner().invoke(main, words.split(), standalone_mode=False).exception


@pytest.mark.parametrize("words", READ)
def test_where_nothing_was_rehearsed_it_is_said_how(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with private(tmp_path, monkeypatch, runs=False) as (engine, started):
        before = sorted(tmp_path.rglob("*"))
        error = ends(f"{words} --rehearse")
        assert isinstance(error, EngineError), repr(error)
        assert error.exit_code == ExitCode.ENGINE_UNUSABLE
        assert str(error).endswith("nothing was rehearsed here: first run `make rehearse`")
        assert (started, engine.asked, sorted(tmp_path.rglob("*"))) == ([], [], before)


@pytest.mark.parametrize("words", READ)
def test_a_rehearsals_engine_that_was_stopped_is_started_and_asked_for_the_image_alone(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    PrivateEngine(tmp_path / "cache").data.mkdir(parents=True)
    with private(tmp_path, monkeypatch, runs=False) as (engine, started):
        has_only(engine)
        before = sorted(tmp_path.rglob("*"))
        error = ends(f"{words} --rehearse")
        assert isinstance(error, InputError), repr(error)
        (looked_up,) = asked(engine)
        how = "build or pull it first"
        if words in (SIZES, SMOKE_OF_CELLS):
            command = "python build.py --server sglang --arch 942 --base 7.2.2 --rehearse"
            how = f"build it (`{command}`) or pull it first"
        assert str(error) == f"the engine has no image '{looked_up}': {how}"
        assert (started, sorted(tmp_path.rglob("*"))) == (["the engine"], before)


def test_sizes_shows_what_is_there_and_says_what_builds_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, absent = (f"sglang-rocm:v0.5.21-rocm72{one}-mi30x-rehearsal" for one in (0, 2))
    with private(tmp_path, monkeypatch, runs=True) as (engine, _):
        has_only(engine, there)
        image = {"Id": "sha256:1", "Size": 318, "RootFS": {"Layers": []}}
        engine.answers[f"GET /images/{there}"] = lambda _: (200, image)
        engine.answers["GET /images/.*/history"] = lambda _: (200, [])
        engine.answers["GET /info"] = lambda _: (200, {})
        words = "sizes --arch 942 --base 7.2.0 --base 7.2.2 --rehearse"
        shown = CliRunner().invoke(main, words.split())
    assert shown.exit_code == 0, shown.output
    assert "sglang-942-rocm7.2.0: compressed not known, 318 bytes unpacked" in shown.stdout
    assert "sglang-942-rocm7.2.2" not in shown.stdout
    command = "python build.py --server sglang --arch 942 --base 7.2.2 --rehearse"
    note = f"note: the engine has no image '{absent}': build it (`{command}`) or pull it first"
    assert shown.stderr.splitlines()[-1] == note


def test_both_of_two_images_are_looked_up_before_one_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with private(tmp_path, monkeypatch, runs=True) as (engine, started):
        has_only(engine, IMAGE)
        error = ends(f"diff {IMAGE} {OTHER}")
        assert str(error) == f"the engine has no image '{OTHER}': build or pull it first"
        assert (started, asked(engine)) == ([], [IMAGE, OTHER])


@pytest.mark.parametrize("words", [PROBE, SMOKE, f"{PROBE} --rehearse", f"{SMOKE} --rehearse"])
@pytest.mark.parametrize("is_there", [True, False])
def test_the_emulator_is_built_once_the_image_is_found_where_it_is_not_there(
    words: str, is_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[object] = []
    monkeypatch.setattr(stand_ins, "root_image", lambda _: "a/root:trixie")
    monkeypatch.setattr(emulator, "build", lambda _, contexts: done.append(contexts))
    for module, name, answer in ((any_image, "probe_image", 0), (build_run, "run_cells", [])):
        monkeypatch.setattr(module, name, lambda *_, a=answer, **__: done.append("tested") or a)
    with private(tmp_path, monkeypatch, runs=True) as (engine, started):
        has_only(engine, IMAGE, *((emulator.reference(),) if is_there else ()))
        assert ends(words) is None
        assert asked(engine) == [IMAGE, emulator.reference()]
        assert (started, done) == ([], ["tested"] if is_there else [ROOT, "tested"])


def test_for_another_emulators_program_ours_is_not_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_run, "run_cells", lambda *_, **__: [])
    with private(tmp_path, monkeypatch, runs=True) as (engine, started):
        has_only(engine, IMAGE)
        assert ends(f"{SMOKE} --rehearse --emulator {sys.executable}") is None
        assert (started, asked(engine)) == ([], [IMAGE])


def test_on_an_engine_that_is_no_rehearsals_the_test_itself_has_the_emulator_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[object] = []
    monkeypatch.setattr(any_image, "probe_image", lambda *_, **__: done.append("tested") or 0)
    with private(tmp_path, monkeypatch, runs=True), made_up_engine(tmp_path / "own.sock") as own:
        monkeypatch.setenv("DOCKER_HOST", own.engine.address)
        has_only(own, IMAGE)
        assert ends(PROBE) is None
        assert (asked(own), done) == ([IMAGE], ["tested"])
