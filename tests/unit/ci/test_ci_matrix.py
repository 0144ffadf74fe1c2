"""Exactly the cells that need work get a job, and the others are named with the reason."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from two_servers import with_second_server

from rocm_images.build.targets import Target
from rocm_images.ci import github, gitlab, runners, verbs
from rocm_images.ci.work import CellWork, There, at_most, changed_since, missing_from
from rocm_images.cli.main import main
from rocm_images.errors import InputError, RegistryError
from rocm_images.matrix.schema import Channel, Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.registry.trust import Trust


@pytest.fixture
def work(small_matrix: Matrix) -> list[CellWork]:
    """All four cells; the build id of each is its name's."""
    cells = cells_of(small_matrix)
    return [CellWork(cell, f"id of {cell.name}", f"tag-{cell.name}") for cell in cells]


def needed(work: Sequence[CellWork]) -> list[str]:
    return [one.cell.name for one in work if one.needed]


def reasons(work: Sequence[CellWork]) -> dict[str, str]:
    return {one.cell.name: one.why for one in work}


def test_a_cell_needs_work_when_its_build_id_differs_or_it_is_new(work: list[CellWork]) -> None:
    before = {one.cell.name: one.build_id for one in work}
    before["sglang-942-rocm7.2.2"] = "another"
    del before["sglang-950-rocm7.2.0"]
    found = changed_since("v1", before, work)
    assert needed(found) == ["sglang-942-rocm7.2.2", "sglang-950-rocm7.2.0"]
    assert reasons(found) == {
        "sglang-942-rocm7.2.0": "same build id as at v1",
        "sglang-942-rocm7.2.2": "another build id than at v1",
        "sglang-950-rocm7.2.0": "not in the matrix at v1",
        "sglang-950-rocm7.2.2": "same build id as at v1",
    }


def test_a_cell_needs_work_when_the_registry_has_no_image_that_would_be_published(
    work: list[CellWork],
) -> None:
    there = {one.cell.name: There("sha256:ab") for one in work}
    del there["sglang-950-rocm7.2.2"]
    there["sglang-950-rocm7.2.0"] = There(why_not="it has no signature")
    found = missing_from("r.example.org", lambda one: there.get(one.cell.name), work)
    assert needed(found) == ["sglang-950-rocm7.2.0", "sglang-950-rocm7.2.2"]
    assert reasons(found)["sglang-942-rocm7.2.0"] == "in r.example.org: sha256:ab"
    assert reasons(found)["sglang-950-rocm7.2.0"] == "in r.example.org, but it has no signature"


def test_a_registry_that_fails_is_not_taken_for_an_empty_one(work: list[CellWork]) -> None:
    def fails(one: CellWork) -> There | None:
        raise RegistryError(f"cannot read {one.tag}")

    with pytest.raises(RegistryError):
        missing_from("r.example.org", fails, work)


def test_what_is_beyond_githubs_limit_is_left_to_the_next_run(work: list[CellWork]) -> None:
    some = changed_since("v1", {"sglang-942-rocm7.2.0": "id of sglang-942-rocm7.2.0"}, work)
    found = at_most(2, some)
    assert needed(found) == ["sglang-942-rocm7.2.2", "sglang-950-rocm7.2.0"]
    assert reasons(found)["sglang-950-rocm7.2.2"] == "left to the next run: this one takes 2 cells"
    assert at_most(3, some) == some


def test_a_github_job_knows_its_cell_and_the_labels_of_its_machines(work: list[CellWork]) -> None:
    entry = github.matrix(work)["include"][3]
    assert entry["cell"] == "sglang-950-rocm7.2.2"
    assert (entry["arch"], entry["base"], entry["gfx"]) == ("950", "7.2.2", "gfx950")
    assert entry["runner"] == ["self-hosted", "linux", "x64", "gfx950"]
    assert entry["builder"] == ["self-hosted", "linux", "x64", "image-builder"]


def channel(evidence: str) -> Channel:
    return Channel.model_validate({"evidence": evidence, "why": "a test asks"})


@pytest.mark.parametrize(
    ("evidence", "gpus"),
    [("static", False), ("emulated", False), ("gpu", True), ("serve", True)],
)
def test_only_a_channel_that_takes_evidence_of_gpus_asks_for_runners_with_them(
    evidence: str, gpus: bool
) -> None:
    assert runners.default(channel(evidence)) == (runners.GFX if gpus else "image-builder")
    # Where nothing says what is enough, what people deploy is meant.
    assert runners.default(None) == runners.GFX


def test_labels_of_runners_are_what_was_typed_with_the_gfx_of_the_cell(
    work: list[CellWork],
) -> None:
    cells = [one.cell for one in work]
    labels = runners.parsed("self-hosted, linux,pool-{gfx}", channel("gpu"), cells)
    assert runners.of(cells[0], labels) == ["self-hosted", "linux", "pool-gfx942"]
    assert github.matrix(work, labels)["include"][3]["runner"][2] == "pool-gfx950"
    assert gitlab.child_pipeline(work, "", runner=labels)[cells[3].name]["tags"] == (
        ["self-hosted", "linux", "pool-gfx950"]
    )


@pytest.mark.parametrize("text", ["a,,b", ",", " ", "{gpu}", "${{ secrets.x }}", "a\nb", "a" * 101])
def test_what_is_no_label_of_a_runner_is_refused(work: list[CellWork], text: str) -> None:
    with pytest.raises(InputError, match="is no label of a runner"):
        runners.parsed(text, channel("emulated"), [one.cell for one in work])


def test_one_machine_is_not_taken_for_two_kinds_of_gpus(work: list[CellWork]) -> None:
    cells = [one.cell for one in work]
    one_kind = [cell for cell in cells if cell.gfx == "gfx942"]
    with pytest.raises(InputError, match="the same for gfx942 and gfx950"):
        runners.parsed("self-hosted", channel("gpu"), cells)
    assert runners.parsed("self-hosted", channel("gpu"), one_kind) == ["self-hosted"]
    assert runners.parsed("ubuntu-24.04", channel("emulated"), cells) == ["ubuntu-24.04"]


def test_a_gitlab_job_runs_on_the_gpus_of_its_cell(work: list[CellWork]) -> None:
    pipeline = gitlab.child_pipeline(work[:1], "--jobs 1")
    job = pipeline["sglang-942-rocm7.2.0"]
    assert job["tags"] == ["gfx942"]
    assert (
        ".venv/bin/python build.py --server sglang --arch 942 --base 7.2.0 --jobs 1"
        in job["script"]
    )
    assert job["stage"] in pipeline["stages"]
    assert not any("push" in command for command in job["script"])


def test_a_gitlab_job_pushes_what_it_tested_where_it_is_told_to(work: list[CellWork]) -> None:
    script = gitlab.child_pipeline(work[:1], "", "--sign-key k")["sglang-942-rocm7.2.0"]["script"]
    assert script[1:] == [
        ".venv/bin/python build.py --server sglang --arch 942 --base 7.2.0",
        ".venv/bin/python build.py push --server sglang --arch 942 --base 7.2.0 --sign-key k",
    ]


def test_a_gitlab_job_pulls_what_is_only_to_be_tested_again_and_trusts_whom_it_is_told(
    work: list[CellWork],
) -> None:
    pulls = ["--registry=r.example.org", "--pull-existing", "--identity=^https://a b$"]
    job = gitlab.child_pipeline(work[:1], "--jobs 2", pulls=pulls)["sglang-942-rocm7.2.0"]
    assert shlex.split(job["script"][1])[-5:] == [*pulls, "--jobs", "2"]


def test_only_a_job_that_is_told_to_has_the_variables_of_an_environment(
    work: list[CellWork],
) -> None:
    without = gitlab.child_pipeline(work, "")
    assert not [job for job in without.values() if "environment" in job]
    jobs = gitlab.child_pipeline(work, "", "", environment="publish")
    for one in work:
        assert jobs[one.cell.name]["environment"] == {"name": "publish", "action": "prepare"}


def test_a_gitlab_pipeline_has_a_job_even_when_no_cell_needs_work(work: list[CellWork]) -> None:
    before = {one.cell.name: one.build_id for one in work}
    pipeline = gitlab.child_pipeline(changed_since("v1", before, work), "")
    assert set(pipeline) == {"stages", "workflow", gitlab.NOTHING}


def test_one_gitlab_job_makes_a_page_of_what_each_cells_job_left(work: list[CellWork]) -> None:
    pipeline = gitlab.child_pipeline(work, "")
    left = set()
    for one in work:
        job = pipeline[one.cell.name]
        (folder,) = (path for path in job["artifacts"]["paths"] if path.startswith("build/run/"))
        # Also of a cell that failed, whose script ends there.
        assert any(folder in command for command in job["after_script"])
        left.add(folder)
    assert len(left) == len(work)
    page = pipeline["summary"]
    assert page["script"][-1].endswith(" summary build/run")
    assert (page["when"], page["stage"]) == ("always", pipeline["stages"][-1])


def test_a_gitlab_pipeline_runs_for_merge_requests_too(work: list[CellWork]) -> None:
    # Jobs without rules, their own or the workflow's, are left out of a merge request's pipeline.
    assert gitlab.child_pipeline(work, "")["workflow"] == {"rules": [{"when": "always"}]}


@pytest.fixture
def ci_matrix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `ci-matrix` leaves its report, instead of the project's build folder."""
    monkeypatch.setattr(verbs, "STATE", tmp_path / "build")
    monkeypatch.delenv("GITHUB_OUTPUT", raising=False)
    return tmp_path / "build" / "ci-matrix.json"


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["ci-matrix", *arguments])


def test_without_a_question_every_chosen_cell_gets_a_job(ci_matrix: Path) -> None:
    found = invoke("--base", "7.2.2")
    cells = [entry["cell"] for entry in json.loads(found.stdout)["include"]]
    assert cells == ["sglang-942-rocm7.2.2", "sglang-950-rocm7.2.2"]
    assert json.loads(ci_matrix.read_text()) == {"schema": 1, "skipped": []}


def test_all_servers_have_their_jobs_where_all_are_asked_for(
    ci_matrix: Path, project_matrix: Matrix
) -> None:
    def servers(*words: str) -> set[str]:
        found = json.loads(invoke("--base", "7.2.2", *words).stdout)["include"]
        return {entry["server"] for entry in found}

    assert servers("--server", "all") == set(project_matrix.servers)
    assert servers() == {project_matrix.default_server}


def test_each_image_is_looked_for_in_the_repository_of_its_server(
    project_matrix: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix, cells = with_second_server(project_matrix)
    targets = [Target(cell, (), immutable=f"{cell.repository}:x") for cell in cells]
    asked: list[tuple[str, str]] = []

    class Place:
        cosign = None

        def __init__(self, name: str) -> None:
            self.repository = name

    def verified_of(repository: Any, _: Any, __: Any, target: Target) -> None:
        asked.append((repository, target.cell.name))

    monkeypatch.setattr("rocm_images.build.targets.verified_of", verified_of)
    places: Any = {cell.repository: Place(cell.repository) for cell in cells}
    look = verbs._look(places, Trust(key="cosign.pub"), matrix, "preview", targets)
    for cell in cells:
        assert look(CellWork(cell, "id", "tag")) is None
    assert asked == [(cell.repository, cell.name) for cell in cells]
    assert len(places) == 2


def test_the_channel_says_which_runners_a_cell_needs_unless_they_are_named(
    ci_matrix: Path,
) -> None:
    def runner(*words: str) -> list[str]:
        found = invoke("--base", "7.2.2", "--arch", "942", *words)
        return list(json.loads(found.stdout)["include"][0]["runner"])

    own = ["self-hosted", "linux", "x64"]
    assert runner() == [*own, "gfx942"]
    # As build.yml passes on what its caller left empty.
    assert runner("--channel", "stable", "--runner", "") == [*own, "gfx942"]
    assert runner("--channel", "preview", "--runner", "") == [*own, "image-builder"]
    assert runner("--channel", "preview", "--runner", "ubuntu-24.04") == ["ubuntu-24.04"]


def test_gitlab_jobs_work_at_the_same_site_and_push_to_the_same_channel(ci_matrix: Path) -> None:
    asked = ("--gitlab", "--base", "7.2.2", "--arch", "942", "--channel", "preview")
    found = invoke(*asked, "--rehearse", "--push=", "--environment", "publish")
    job = json.loads(found.stdout)["sglang-942-rocm7.2.2"]
    cell = "--server sglang --arch 942 --base 7.2.2"
    assert job["script"][1:] == [
        f".venv/bin/python build.py {cell} --rehearse",
        f".venv/bin/python build.py push {cell} --channel=preview --rehearse",
    ]
    assert (job["tags"], job["environment"]["name"]) == (["image-builder"], "publish")


def test_a_gitlab_job_pushes_to_the_registry_that_lacks_its_image_unless_another_is_named(
    ci_matrix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rocm_images.registry.place.place_of", lambda *_: None)
    monkeypatch.setattr(verbs, "_look", lambda *_: lambda one: None)
    # The child of a pipeline has what that one's file says of a variable, not the project.
    asked = ("--gitlab", "--base", "7.2.2", "--arch", "942", "--missing-from", "localhost:1/a")

    def pushed(text: str) -> list[str]:
        found = invoke(*asked, "--key", "awskms:///a", f"--push={text}")
        script = json.loads(found.stdout)["sglang-942-rocm7.2.2"]["script"]
        return [word for word in shlex.split(script[2]) if "localhost" in word]

    assert pushed("") == ["--registry=localhost:1/a"]
    assert pushed("--registry localhost:2") == ["localhost:2"]


def test_jobs_make_and_push_layers_of_the_compression_that_was_asked_for(ci_matrix: Path) -> None:
    words = ("--compression", "gzip", "--no-recompress-base")
    asked = ("--gitlab", "--base", "7.2.2", "--arch", "942")
    found = invoke(*asked, "--options", "--jobs 2", "--push", "--retries 3", *words)
    script = json.loads(found.stdout)["sglang-942-rocm7.2.2"]["script"]
    assert script[1].endswith(" --jobs 2 --compression=gzip --no-recompress-base")
    assert script[2].endswith(" --retries 3 --compression=gzip --no-recompress-base")
    plain = json.loads(invoke(*asked, "--push", "").stdout)["sglang-942-rocm7.2.2"]["script"]
    assert not [line for line in plain if "compress" in line]
    before, after = (
        json.loads(invoke("--base", "7.2.2", *more).stdout)["include"][0]["tag"]
        for more in ((), words)
    )
    assert before != after


@pytest.mark.parametrize(
    ("base", "count"),
    [("7.2.2", "2"), ("7.2.0", "2")],
)
def test_github_gets_the_matrix_and_its_size_as_outputs(
    ci_matrix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str, count: str
) -> None:
    outputs = tmp_path / "outputs"
    outputs.write_text("before=kept\n")
    monkeypatch.setenv("GITHUB_OUTPUT", str(outputs))
    found = invoke("--base", base)
    # One line each: a second line of a value would be read as another output.
    values = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
    assert json.loads(values["matrix"]) == json.loads(found.stdout)
    assert (values["count"], values["before"]) == (count, "kept")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--changed-since", "HEAD", "--missing-from", "localhost:1"], "not both"),
        (["--options", "--jobs 1"], "belong to --gitlab"),
        (["--missing-from", "UPPER CASE"], "is no registry's address"),
        (["--missing-from", "localhost:1"], "say whose signatures to trust"),
        (["--arch", "941"], "unknown arch"),
        (["--gitlab", "--environment", "publish"], "belongs to --push"),
        (["--channel", "stabel"], "has no channel 'stabel'"),
        (["--runner", "a,,b"], "is no label of a runner"),
        (["--runner", "self-hosted"], "add {gfx}"),
    ],
)
def test_bad_input_is_a_sentence(ci_matrix: Path, arguments: list[str], sentence: str) -> None:
    found = invoke(*arguments)
    assert isinstance(found.exception, InputError)
    assert sentence in str(found.exception)
    assert not ci_matrix.exists()


def test_an_output_file_that_cannot_be_written_is_a_sentence(
    ci_matrix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path))
    found = invoke()
    assert isinstance(found.exception, InputError)
    assert "GITHUB_OUTPUT names it" in str(found.exception)
