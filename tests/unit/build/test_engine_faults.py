"""What an engine, a buildx or a registry does wrong is said of them, and never of the image."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from made_up_engine import MadeUpEngine, Request, made_up_engine
from rocm_images.build import pipeline
from rocm_images.build.pipeline import BuildOptions, run_cells
from rocm_images.build.progress import PlainLines
from rocm_images.build.site import RealSite
from rocm_images.build.summary import CellReport, Result, exit_code
from rocm_images.build.targets import Target, targets_of
from rocm_images.engine import patience
from rocm_images.engine.images import BUILD_ID, EngineImage
from rocm_images.errors import InputError
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.recipe.compression import output
from rocm_images.smoke import run as smoking
from rocm_images.smoke.evidence import Level

BUILDX = """\
#!/bin/sh
case "$1" in version) echo github.com/docker/buildx v0.13.1 ;; esac
"""
# What tests/image has for options, and a test of its own.
CONFTEST = """\
def pytest_addoption(parser):
    for name in ("image", "cell", "matrix", "device", "probe-result", "serve-result"):
        parser.addoption(f"--{name}")
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[MadeUpEngine]:
    with made_up_engine(tmp_path / "engine.sock") as found:
        plugins = tmp_path / "cli-plugins"
        plugins.mkdir()
        (plugins / "docker-buildx").write_text(BUILDX)
        (plugins / "docker-buildx").chmod(0o755)
        environment = {"DOCKER_CONFIG": str(tmp_path), "PATH": "/usr/bin:/bin"}
        found.engine = replace(found.engine, environment=environment)
        found.answers["GET /networks"] = lambda _: (200, [])
        yield found


@pytest.fixture
def target(small_matrix: Matrix, tmp_path: Path) -> Target:
    cells = cells_of(small_matrix)[:1]
    (found,) = targets_of(RealSite(), tmp_path / "matrix.yaml", small_matrix, cells)
    return found


def run(engine: MadeUpEngine, folder: Path, target: Target, *, smoke: bool = False) -> CellReport:
    options = BuildOptions(folder / "matrix.yaml", folder, 1, smoke=smoke, pull_existing=True)
    (report,) = run_cells(engine.engine, options, [target], PlainLines())
    return report


def has_image(engine: MadeUpEngine, build_id: str) -> None:
    labels = {BUILD_ID: build_id}
    image = {"Id": "sha256:" + "0" * 64, "RepoTags": [], "Size": 1, "Config": {"Labels": labels}}
    engine.answers["GET /images/.*/json"] = lambda _: (200, image)


def missing(_: Request) -> tuple[int, object]:
    return 404, {"message": "No such image"}


@pytest.mark.parametrize("there", ["nothing", "another", "it"])
def test_a_buildx_that_built_nothing_is_not_done(
    engine: MadeUpEngine, target: Target, tmp_path: Path, there: str
) -> None:
    assert target.inputs is not None
    engine.answers["GET /images/.*/json"] = missing
    if there != "nothing":
        has_image(engine, target.inputs.build_id if there == "it" else "another")
    report = run(engine, tmp_path, target)
    assert report.result is (Result.DONE if there == "it" else Result.BUILD_FAILED)
    assert ("buildx ended as if all were well" in report.detail) is (there != "it")


# What buildx 0.13.1 said on a full file system; a step says as much of its container's files.
REFUSED = """\
#!/bin/sh
case "$1" in version) echo github.com/docker/buildx v0.13.1; exit ;; esac
echo "#9 [deps 1/2] RUN true"
echo "{of}ERROR: failed to update builder last activity time: write\
 {folder}/buildx/activity/.tmp-default: no space left on device"
exit 1
"""


@pytest.mark.parametrize(
    ("of", "folder", "result", "code"),
    [
        ("", "", Result.SYSTEM_REFUSED, 13),
        ("#9 ", "", Result.BUILD_FAILED, 1),
        ("", "/srv/somebody-elses", Result.BUILD_FAILED, 1),
    ],
    ids=["its own", "of a step", "elsewhere"],
)
def test_a_folder_of_buildx_that_is_full_is_the_systems_refusal(
    engine: MadeUpEngine,
    target: Target,
    tmp_path: Path,
    of: str,
    folder: str,
    result: Result,
    code: int,
) -> None:
    program = REFUSED.format(of=of, folder=folder or tmp_path)
    (tmp_path / "cli-plugins" / "docker-buildx").write_text(program)
    engine.answers["GET /images/.*/json"] = missing
    report = run(engine, tmp_path, target)
    assert (report.result, exit_code([report])) == (result, code)
    assert ("make room there" in report.detail) is (code == 13)


# What docker's own libraries say, with what is behind it in config.json and what is not.
HELPERLESS = """\
#!/bin/sh
case "$1" in version) echo github.com/docker/buildx v0.13.1; exit ;; esac
echo "#2 [internal] load metadata for docker.io/rocm/pytorch:rocm7.2"
echo '#2 ERROR: error getting credentials - err: exec: "docker-credential-absent": executable'
exit 1
"""


@pytest.mark.parametrize(
    ("configuration", "sentence"),
    [
        ({"credsStore": "absent"}, "credsStore names docker-credential-absent, which is not on"),
        ({}, "error getting credentials - err: exec: .*: see credsStore and credHelpers in "),
    ],
)
def test_credentials_that_buildx_cannot_have_are_the_registrys_failure(
    engine: MadeUpEngine,
    target: Target,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    configuration: dict[str, str],
    sentence: str,
) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps(configuration))
    (tmp_path / "cli-plugins" / "docker-buildx").write_text(HELPERLESS)
    engine.answers["GET /images/.*/json"] = missing
    report = run(engine, tmp_path, target)
    assert (report.result, exit_code([report])) == (Result.REGISTRY_FAILED, 9)
    assert re.search(sentence, report.detail)
    assert str(tmp_path / "config.json") in report.detail


@pytest.mark.parametrize(
    ("pulled", "code", "result"),
    [
        ((200, {"status": "Pulled"}), 10, Result.NOT_VERIFIED),
        ((200, {"error": "manifest unknown"}), 9, Result.REGISTRY_FAILED),
        ((500, {"message": "denied"}), 9, Result.REGISTRY_FAILED),
        (None, 3, Result.ENGINE_FAILED),
    ],
)
def test_a_pull_that_fails_keeps_its_code(
    engine: MadeUpEngine,
    target: Target,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pulled: tuple[int, object] | None,
    code: int,
    result: Result,
) -> None:
    monkeypatch.setattr(patience, "ASK_SECONDS", 0.05)
    monkeypatch.setattr(patience, "GIVE_UP_SECONDS", 0.3)
    has_image(engine, "another")
    engine.answers["POST /images/create"] = lambda _: pulled
    if pulled is None:
        engine.answers["GET /_ping"] = engine.answers["POST /images/create"] = engine.withhold
    published = replace(target, published=f"registry.example.org/a@sha256:{'0' * 64}")
    report = run(engine, tmp_path, published)
    assert (report.result, exit_code([report])) == (result, code)


@pytest.fixture
def tested(
    engine: MadeUpEngine, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], CellReport]:
    """The report of a cell that was built, and whose test is the given one."""
    assert target.inputs is not None
    has_image(engine, target.inputs.build_id)
    engine.answers["GET /events"] = engine.stream(engine.end)
    engine.answers["GET /containers/json"] = lambda _: (200, [])
    monkeypatch.setattr(smoking, "IMAGE_TESTS", tmp_path / "image-tests")
    # Where pytest is to be found, and nothing of this run's own.
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)

    def report(body: str) -> CellReport:
        smoking.IMAGE_TESTS.mkdir()
        (smoking.IMAGE_TESTS / "conftest.py").write_text(CONFTEST)
        (smoking.IMAGE_TESTS / "test_one.py").write_text(f"def test_one():\n    {body}\n")
        return run(engine, tmp_path, target, smoke=True)

    return report


def evidence(folder: Path) -> list[Path]:
    return [*(folder / "evidence").glob("**/*.json")]


def test_what_was_there_is_tested_where_its_test_ran_and_up_to_date_where_it_did_not(
    engine: MadeUpEngine,
    target: Target,
    tmp_path: Path,
    tested: Callable[[str], CellReport],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert tested("pass").result is Result.DONE
    there = replace(target, found=EngineImage("sha256:" + "0" * 64, {}, target.references))
    # This engine can test on nothing better than that was tested on.
    monkeypatch.setattr(pipeline, "device_for", lambda *_: Level.STATIC)
    assert run(engine, tmp_path, there, smoke=True).result is Result.UP_TO_DATE
    options = BuildOptions(tmp_path / "matrix.yaml", tmp_path, 1, force=True)
    (again,) = run_cells(engine.engine, options, [there], PlainLines())
    assert (again.result, exit_code([again])) == (Result.TESTED, 0)


def test_where_no_evidence_can_be_written_nothing_is_built_or_tested(
    engine: MadeUpEngine,
    target: Target,
    tmp_path: Path,
    tested: Callable[[str], CellReport],
) -> None:
    (tmp_path / "evidence").write_text("in the way")
    with pytest.raises(InputError, match="evidence: cannot write it"):
        tested("pass")
    there = replace(target, found=EngineImage("sha256:" + "0" * 64, {}, target.references))
    report = run(engine, tmp_path, there, smoke=True)
    assert "evidence: cannot write it" in report.detail
    # Neither a build nor a test has begun its log.
    assert not (tmp_path / "logs").exists()
    # Who does not test needs none.
    assert run(engine, tmp_path, there).result is Result.UP_TO_DATE


def test_an_image_that_fails_its_test_failed(
    tested: Callable[[str], CellReport], tmp_path: Path
) -> None:
    report = tested("assert False")
    assert (report.result, exit_code([report])) == (Result.SMOKE_FAILED, 4)
    (written,) = evidence(tmp_path)
    assert json.loads(written.read_text())["passed"] is False


@pytest.mark.parametrize("comes_back", [True, False])
def test_an_engine_that_dies_under_a_test_is_not_the_images_failure(
    engine: MadeUpEngine,
    tested: Callable[[str], CellReport],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    comes_back: bool,
) -> None:
    dead = tmp_path / "dead"

    def dies(request: Request) -> None:
        while not dead.exists():
            engine.end.wait(0.01)
        dead.unlink()

    if comes_back:
        engine.answers["GET /events"] = lambda request: begun(request, dies)
    else:
        # Nobody hears of its events; it does not answer either.
        engine.answers["GET /_ping"] = lambda _: None
    report = tested(f"import pathlib; pathlib.Path({str(dead)!r}).touch(); assert False")
    assert (report.result, exit_code([report])) == (Result.ENGINE_FAILED, 3)
    assert "went away during the smoke test, which says nothing of the image" in report.detail
    assert evidence(tmp_path) == []


def begun(request: Request, then: Callable[[Request], None]) -> None:
    request.send_response(200)
    request.send_header("Transfer-Encoding", "chunked")
    request.end_headers()
    then(request)


def test_a_test_that_hangs_is_stopped_and_its_containers_with_it(
    engine: MadeUpEngine,
    tested: Callable[[str], CellReport],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(smoking, "SECONDS", 3.0)
    left = [{"Id": "made"}]

    def remove(_: Request) -> tuple[int, object]:
        left.clear()
        return 200, {}

    engine.answers["GET /containers/json"] = lambda _: (200, left)
    engine.answers["DELETE /containers/made"] = remove
    report = tested("import threading; threading.Event().wait()")
    assert (report.result, exit_code([report])) == (Result.SMOKE_FAILED, 4)
    assert "pytest was stopped, as it had not ended within 0.05 min" in report.tail[0]
    assert left == []


def test_what_was_asked_of_buildx_is_in_the_log_with_what_the_image_is_to_say(
    engine: MadeUpEngine, target: Target, tmp_path: Path
) -> None:
    engine.answers["GET /images/.*/json"] = missing
    log = Path(run(engine, tmp_path, target).log)
    asked = log.read_text().splitlines()[0]
    assert f"--output={output(target.layers, annotations=target.annotations)} " in asked
    assert "annotation.org.opencontainers.image.created=2026-11-24T00:00:00Z" in asked
