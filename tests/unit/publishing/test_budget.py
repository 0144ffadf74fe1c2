"""A channel's pull budget refuses what is over it, and names what took it and what to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from made_up_catalogue import FIRST, SECOND, digest, entry, evidence, manifest
from rocm_images.build.targets import Target
from rocm_images.catalogue.merge import merged, restored
from rocm_images.catalogue.schema import Catalogue, CatalogueEntry
from rocm_images.engine.images import EngineImage
from rocm_images.errors import ExitCode, PublishRefused
from rocm_images.matrix.schema import Budget, Channel, Matrix
from rocm_images.matrix.types import bytes_of
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.publishing.budget import Spent, budget_table, check_budget, spent_of
from rocm_images.publishing.candidates import Candidate
from rocm_images.publishing.explaining import explaining
from rocm_images.recipe.labels import STAND_IN

DOCKERFILE = "FROM x AS base\nRUN base\nFROM base AS deps\nRUN deps\nFROM deps AS serving\nRUN it\n"
STEPS = ("an import", "RUN base", "RUN deps", "RUN it")


@pytest.fixture
def cell(small_matrix: Matrix) -> Cell:
    return cells_of(small_matrix)[0]


def built(cell: Cell, build: str, own: int = 1_250_000_000, **changes: Any) -> CatalogueEntry:
    """12.45 GB, of which the last layer, `own` bytes, is the build's."""
    document = manifest(cell, build)
    document["layers"][-1]["size"] = own
    given = {"manifest": document, "steps": STEPS, "dockerfile": DOCKERFILE, **changes}
    return entry(cell, build=build, **given)


def channel(**budget: str) -> Channel:
    return Channel(evidence="gpu", why="w", budget=Budget(**budget) if budget else None)


def checked(spent: Spent, **budget: str) -> str:
    """What a refusal says; empty where there is none."""
    try:
        check_budget("stable", channel(**budget), [(spent, lambda: "build.py diff A B")])
    except PublishRefused as error:
        return str(error)
    return ""


@pytest.fixture
def listed(cell: Cell) -> Catalogue:
    return merged(None, [built(cell, "1")], FIRST)


def test_a_size_is_in_units_of_a_thousand() -> None:
    assert bytes_of("500 MB") == 500_000_000
    assert bytes_of("1.255 GB") == 1_255_000_000


def test_an_image_is_held_to_the_byte(cell: Cell, listed: Catalogue) -> None:
    spent = spent_of(built(cell, "2", own=1_250_000_000), listed)
    assert (spent.image.size, spent.delta) == (12_450_000_000, 1_250_000_000)
    assert checked(spent, compressed="12.45 GB", delta="1.25 GB") == ""
    assert checked(spent_of(built(cell, "2", own=1_250_000_001), listed), delta="1.25 GB") != ""
    assert checked(spent_of(built(cell, "2", own=1_250_000_001), listed), compressed="12.45 GB")
    assert checked(spent) == ""


def test_a_refusal_names_the_layers_that_grew_and_what_to_do(cell: Cell, listed: Catalogue) -> None:
    said = checked(spent_of(built(cell, "2", own=5_250_000_000), listed), delta="2 GB")
    assert (
        "over the pull budget of the channel stable: nothing was released and no tag moved" in said
    )
    assert cell.name in said
    before = listed.images[0].immutable_tag
    assert f"those that {before} lacks are 5.2 GB compressed, 3.2 GB more" in said
    assert "budget.delta allows (2 GB)" in said
    assert "5.2 GB grew, was 1.2 GB: serving, RUN it" in said
    # What nodes have already took nothing.
    assert "RUN deps" not in said
    assert "`build.py diff A B` shows which packages grew" in said
    assert "raise channels.stable.budget in matrix.yaml" in said


def test_its_exit_code_is_that_of_what_may_not_be_published() -> None:
    assert PublishRefused.exit_code == ExitCode.PUBLISH_REFUSED == 8


def test_a_layer_of_a_new_step_is_new(cell: Cell, listed: Catalogue) -> None:
    steps = (*STEPS[:-1], "RUN another")
    spent = spent_of(built(cell, "2", steps=steps), listed)
    assert [how for _, how in spent.layers] == ["new"]


def test_steps_that_nobody_recorded_are_not_called_new(cell: Cell) -> None:
    old = entry(cell, build="1")
    assert old.layers[0].step is None
    spent = spent_of(built(cell, "2"), merged(None, [old], FIRST))
    assert [how for _, how in spent.layers] == ["not there before"]


def test_the_first_image_has_no_delta_and_is_held_to_its_size(cell: Cell) -> None:
    for before in (None, merged(None, [], FIRST)):
        spent = spent_of(built(cell, "1"), before)
        assert (spent.previous, spent.delta) == (None, None)
        assert checked(spent, delta="1 MB") == ""
        said = checked(spent, compressed="12 GB")
        assert "its layers are 12.4 GB compressed, 450.0 MB more" in said
        # The largest first.
        assert said.index("9.0 GB new: base image") < said.index("1.4 GB new: base, RUN base")


def test_only_the_largest_layers_of_many_are_named(cell: Cell) -> None:
    document = manifest(cell)
    document["layers"] = [
        {"digest": digest(f"layer {number}"), "size": 1_000_000 * (number + 1)}
        for number in range(3000)
    ]
    said = checked(spent_of(entry(cell, manifest=document), None), compressed="1 GB")
    assert "in 2992 other layers" in said
    assert len(said.splitlines()) < 20


def test_after_a_rollback_growth_counts_from_what_nodes_went_back_to(cell: Cell) -> None:
    small, large = built(cell, "1", own=1_000_000), built(cell, "2", own=9_000_000_000)
    now = merged(merged(None, [small], FIRST), [large], SECOND)
    back = restored(now, small.immutable_tag, SECOND, channel="preview")
    spent = spent_of(built(cell, "3"), back)
    assert spent.previous is not None
    assert spent.previous.digest == small.digest


def test_publishing_the_same_again_counts_from_what_was_before_it(
    cell: Cell, listed: Catalogue
) -> None:
    second = built(cell, "2")
    spent = spent_of(second, merged(listed, [second], SECOND))
    assert spent.previous is not None
    assert spent.previous.digest == listed.images[0].digest


def test_the_report_says_what_part_of_the_budget_is_used(cell: Cell, listed: Catalogue) -> None:
    spent = [spent_of(built(cell, "2"), listed), spent_of(built(cell, "1"), None)]
    budget = Budget(compressed="20 GB", delta="2 GB")
    lines = budget_table(spent, budget).splitlines()
    assert "12.4 GB  62% of 20 GB" in lines[1]
    assert "1.2 GB  62% of 2 GB" in lines[1]
    assert lines[1].endswith(listed.images[0].immutable_tag)
    assert lines[2].endswith("the channel's first")
    assert "%" not in budget_table(spent, None)


class _Engine:
    """An engine that has images by these names."""

    def __init__(self, **images: str) -> None:
        self.images = images

    def client(self) -> Any:
        return self

    @property
    def api(self) -> Any:
        class Api:
            def images(_, filters: Any) -> list[dict[str, Any]]:
                return [
                    {"Id": self.images[name], "RepoTags": [name]}
                    for name in filters["reference"]
                    if name in self.images
                ]

        return Api()

    def close(self) -> None: ...


def test_the_command_that_explains_it_can_be_run_as_it_stands(
    cell: Cell, listed: Catalogue
) -> None:
    (old,) = listed.images
    here, new = cell.reference(old.immutable_tag), cell.reference("new")
    found = EngineImage("sha256:new", {}, (new,))
    target = Target(cell, (), immutable=new, found=found)
    one = Candidate(target, "new", (), evidence(cell), None)

    def said(engine: Any, one: Candidate = one) -> str:
        return explaining(engine, one, old)

    assert said(_Engine(**{here: old.digest})) == f"python build.py diff {here} {new}"
    # Another image by that name is not the one that nodes have.
    pulled = f"docker pull {old.reference} && python build.py diff {old.reference} {new}"
    assert said(_Engine(**{here: "sha256:other"})) == said(None) == pulled
    renamed = replace(one, target=replace(target, found=replace(found, tags=())))
    assert said(None, renamed).endswith(" sha256:new")
    rehearsed = replace(one, target=replace(target, labels={STAND_IN: "base"}))
    assert said(None, rehearsed).endswith(" --rehearse")
    there = replace(one, target=replace(target, found=None))
    assert said(None, there).count("docker pull") == 2
    assert explaining(None, one, None) == ""
