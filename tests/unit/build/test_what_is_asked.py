"""A run asks the engine, and starts, what it needs and no more: whoever waits waits for that."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from made_up_engine import MadeUpEngine, Request, made_up_engine
from rehearsal import stand_ins
from rehearsal.engine import PrivateEngine
from rocm_images import turns
from rocm_images.build import run as build_run
from rocm_images.build import targets as build_targets
from rocm_images.build.run import BuildCommand, build_and_test
from rocm_images.build.site import RealSite
from rocm_images.build.targets import Target, targets_of, with_found
from rocm_images.engine.images import BUILD_ID
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.smoke import emulator

PATH = Path("matrix.yaml")


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MadeUpEngine]:
    with made_up_engine(tmp_path / "engine.sock") as found:
        monkeypatch.setenv("DOCKER_HOST", found.engine.address)
        monkeypatch.setattr(build_run, "STATE", tmp_path / "build")
        monkeypatch.setattr(turns, "held", lambda *_: nullcontext())
        yield found


@pytest.fixture
def targets(small_matrix: Matrix, tmp_path: Path) -> list[Target]:
    cells = cells_of(small_matrix)
    assert len(cells) > 1
    return targets_of(RealSite(), tmp_path / PATH, small_matrix, cells)


def has(engine: MadeUpEngine, targets: Sequence[Target], **labelled: str) -> None:
    """Give the engine the images of targets, with all of their tags but those in `labelled`."""
    images: dict[str, tuple[str, Sequence[str]]] = {}
    for target in targets:
        assert target.inputs is not None
        for reference in target.references:
            images[reference] = (target.inputs.build_id, target.references)
        images[f"sha256:{target.inputs.build_id}"] = images[target.immutable]

    def inspected(request: Request) -> tuple[int, Any]:
        found = re.search(r"/images/(.+)/json", unquote(request.path))
        assert found is not None
        if found[1] not in images:
            return 404, {"message": "No such image"}
        build_id, tags = images[found[1]]
        config = {"Labels": {BUILD_ID: labelled.get("build_id", build_id)}}
        image_id = "sha256:" + build_id
        return 200, {"Id": image_id, "RepoTags": tags, "Size": 7, "Config": config}

    engine.answers["GET /images/.+/json"] = inspected


def asked(engine: MadeUpEngine) -> list[str]:
    return [unquote(one) for one in engine.asked]


def of(*references: str) -> list[str]:
    return [f"GET /images/{reference}/json" for reference in references]


def test_where_nothing_changed_each_image_is_asked_for_once_and_nothing_is_started(
    engine: MadeUpEngine,
    targets: list[Target],
    small_matrix: Matrix,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has(engine, targets)
    engine.answers["GET /info"] = lambda _: (200, {})
    started: list[object] = []
    monkeypatch.setattr(subprocess, "Popen", lambda words, *_, **__: started.append(words))
    command = BuildCommand(
        jobs=2,
        builder=None,
        contexts=(),
        build_args=(),
        secrets={},
        network=None,
        smoke=False,
        force=False,
        site=RealSite(),
    )
    cells = cells_of(small_matrix)
    assert build_and_test(tmp_path / PATH, small_matrix, cells, command) == 0
    questions = asked(engine)
    assert questions[0] == "GET /version"
    measured = questions.index("GET /info")
    assert sorted(questions[1:measured]) == sorted(of(*(target.immutable for target in targets)))
    # And their sizes once, where all else is done.
    images = [f"sha256:{target.inputs.build_id}" for target in targets if target.inputs]
    assert sorted(questions[measured + 1 :]) == sorted(of(*images))
    assert started == []


def test_an_image_that_lost_its_immutable_tag_is_found_by_another(
    engine: MadeUpEngine, targets: list[Target]
) -> None:
    target = targets[0]
    has(engine, [target])
    answer = engine.answers["GET /images/.+/json"]

    def without(request: Request) -> Any:
        lost = target.immutable in unquote(request.path)
        return (404, {"message": "No such image"}) if lost else answer(request)

    engine.answers["GET /images/.+/json"] = without
    (found,) = with_found(engine.engine, [target])
    assert found.found is not None
    assert asked(engine) == of(target.immutable, target.rolling[0])


def test_of_what_is_to_be_built_each_tag_is_asked_for_once_and_no_list_is(
    engine: MadeUpEngine, targets: list[Target]
) -> None:
    has(engine, targets, build_id="another")
    found = with_found(engine.engine, targets)
    assert all(target.to_build and target.why.startswith("changed: ") for target in found)
    references = [reference for target in targets for reference in target.references]
    assert sorted(asked(engine)) == sorted(of(*references))


def listed(engine: MadeUpEngine, target: Target) -> None:
    assert target.inputs is not None
    labels = {BUILD_ID: target.inputs.build_id}
    answer = [{"Id": "sha256:1", "Labels": labels, "RepoTags": [target.immutable]}]
    engine.answers["GET /images/json"] = lambda _: (200, answer)


def test_many_images_are_asked_for_by_one_list(
    engine: MadeUpEngine, targets: list[Target], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_targets, "MOST_ASKED", 1)
    listed(engine, targets[0])
    found = with_found(engine.engine, targets)
    assert [bool(target.found) for target in found] == [True] + [False] * (len(targets) - 1)
    (question,) = asked(engine)
    assert question.startswith("GET /images/json?")


def test_where_an_image_cannot_be_looked_at_a_list_is_asked_for(
    engine: MadeUpEngine, targets: list[Target]
) -> None:
    listed(engine, targets[0])
    engine.answers["GET /images/.+/json"] = lambda _: (500, {"message": "it goes away"})
    found = with_found(engine.engine, targets[:1])
    assert [bool(target.found) for target in found] == [True]


@pytest.mark.parametrize("tests", [True, False])
def test_a_rehearsal_looks_for_its_emulator_only_where_images_are_tested(
    engine: MadeUpEngine, small_matrix: Matrix, monkeypatch: pytest.MonkeyPatch, tests: bool
) -> None:
    monkeypatch.setattr(stand_ins, "connect_if_any", lambda: engine.engine)
    monkeypatch.setattr(PrivateEngine, "only_one", lambda _: nullcontext())
    engine.answers["GET /images/.+/json"] = lambda _: (200, {"Id": "sha256:1"})
    assert stand_ins.Rehearsal().prepared(small_matrix, (), tests=tests) is engine.engine
    assert asked(engine) == (of(emulator.reference()) if tests else [])
