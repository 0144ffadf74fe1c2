"""What an AMD serving engineer would check in the rendered Dockerfiles, before any build."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path

import pytest

from rocm_images.build.options import parse_build_args
from rocm_images.errors import InputError
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.plan.load import load
from rocm_images.plan.variants import Versions, is_affected
from rocm_images.recipe.render import render

PROJECT = Path(__file__).resolve().parents[3]
OF_AITER = {"aiter-ar-slot", "aiter-allgather", "dsa-indexer", "expandable-segments"}


@pytest.fixture(scope="module")
def texts(project_matrix: Matrix) -> dict[str, str]:
    return {cell.name: text for cell, text in render(project_matrix, cells_of(project_matrix))}


def stages(text: str) -> dict[str, str]:
    """Stage name -> its lines, without comments."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if match := re.match(r"FROM \S+ AS (\S+)", line):
            name = match[1]
        if name and not line.startswith("#"):
            found[name] = found.get(name, "") + line + "\n"
    return found


def test_the_stages_before_the_compiles_are_the_same_for_both_archs(texts: dict[str, str]) -> None:
    for name in ("sglang-{}-rocm7.2.0", "sglang-{}-rocm10.0.0", "vllm-{}-rocm7.2.2"):
        one, other = (stages(texts[name.format(arch)]) for arch in ("942", "950"))
        assert one.keys() == other.keys()
        before = [stage for stage in one if stage.endswith("-src")]
        before += [stage for stage in ("wheel", "system", "sdk-layers") if stage in one]
        before += ["online", "clock", "base", "rootfs", "requirements", "deps-layers", "deps"]
        for stage in before:
            assert one[stage] == other[stage]


def test_no_stage_before_the_compiles_knows_an_arch(texts: dict[str, str]) -> None:
    for text in texts.values():
        found = stages(text)
        of_a_wheel = {"wheel", "server-layers"} & found.keys()
        for stage in ("base", "requirements", "deps-layers", "deps", *of_a_wheel):
            assert not re.search(r"gfx\d|GPU_ARCHS|AMDGPU_TARGET|ROCM_ARCH", found[stage])


def test_what_is_made_of_nothing_is_one_layer(texts: dict[str, str]) -> None:
    # Of two, builds side by side were seen to lose the first (project-dalec/dalec#1069).
    for text in texts.values():
        for name, stage in stages(text).items():
            if stage.startswith("FROM scratch"):
                assert len(re.findall(r"^(?:COPY|ADD|RUN) ", stage, re.MULTILINE)) == 1, name


def test_every_argument_is_used_in_the_stage_that_declares_it(texts: dict[str, str]) -> None:
    for text in texts.values():
        for lines in stages(text).values():
            for name in re.findall(r"^ARG (\w+)", lines, flags=re.MULTILINE):
                assert f"${{{name}}}" in lines.replace(f"ARG {name}", "")


def test_every_source_is_pinned(texts: dict[str, str]) -> None:
    for text in texts.values():
        for line in re.findall(r"^ADD .*", text, flags=re.MULTILINE):
            assert re.search(r"\.git#[\w.]+ /$", line) or "--checksum=sha256:" in line
        for line in re.findall(r"^FROM (\S+)", text, flags=re.MULTILINE):
            assert line == "scratch" or ":" in line or line in stages(text)
        assert ":latest" not in text


def test_every_step_begins_by_sourcing_the_clock(texts: dict[str, str]) -> None:
    for text in texts.values():
        steps = re.findall(r"^RUN (?:.*\\\n)*.*", text, flags=re.MULTILINE)
        assert len(steps) == text.count("\nRUN ") > 8
        for step in steps:
            words = re.sub(r"--mount=\S+|\\\n", "", step.removeprefix("RUN ")).split()
            assert words[:3] == [".", "/run/clock/clock", "&&"]


def test_the_date_of_an_image_is_the_matrix_s_and_that_of_its_files_is_not(
    texts: dict[str, str], project_matrix: Matrix
) -> None:
    date = datetime.fromtimestamp(project_matrix.epoch, timezone.utc).isoformat()
    assert date == f"{project_matrix.date}T00:00:00+00:00"
    for text in texts.values():
        assert text.count(f"ARG SOURCE_DATE_EPOCH={project_matrix.epoch}\n") == 1
        (of_files,) = re.findall(r"export SOURCE_DATE_EPOCH=(\d+)$", text, flags=re.MULTILINE)
        # zip, and so a wheel, knows no date before 1980.
        assert 315_532_800 < int(of_files) < project_matrix.epoch


def test_no_argument_or_variable_holds_a_secret(texts: dict[str, str]) -> None:
    for text in texts.values():
        names = re.findall(r"^(?:ARG|ENV) (\w+)|^    (\w+)=", text, flags=re.MULTILINE)
        for name in {part for pair in names for part in pair if part}:
            assert not re.search(r"TOKEN(?!IZER)|SECRET|PASSW|API_?KEY|CREDENTIAL", name)


def test_the_gpu_of_the_build_does_not_stay_in_the_environment(texts: dict[str, str]) -> None:
    for text in texts.values():
        for name in ("GPU_ARCHS", "AMDGPU_TARGET", "PYTORCH_ROCM_ARCH"):
            assert not re.search(rf"^(ENV|ARG|\s+ENV).*{name}", text, flags=re.MULTILINE)


def test_caches_are_mounts_and_in_no_layer(texts: dict[str, str]) -> None:
    for text in texts.values():
        for step in re.findall(r"^RUN (?:.*\\\n)*.*", text, flags=re.MULTILINE):
            if "-m pip install" in step and "--no-index" not in step:
                assert "--mount=type=cache,id=pip" in step
                assert "--mount=type=secret,id=ca-bundle" in step


def test_a_build_argument_that_no_stage_uses_is_refused(texts: dict[str, str]) -> None:
    assert parse_build_args(["MAX_JOBS=8"], list(texts.values())) == {"MAX_JOBS": "8"}
    with pytest.raises(InputError, match="did you mean 'MAX_JOBS'"):
        parse_build_args(["MAX_JOB=8"], list(texts.values()))
    with pytest.raises(InputError, match="not NAME=VALUE"):
        parse_build_args(["MAX_JOBS"], list(texts.values()))
    with pytest.raises(InputError, match="given twice"):
        parse_build_args(["MAX_JOBS=8", "MAX_JOBS=9"], list(texts.values()))
    with pytest.raises(InputError, match="--build-arg MAX_JOBS: its value holds credentials") as no:
        parse_build_args(["MAX_JOBS=https://a:SECRET@x.org"], list(texts.values()))
    assert "SECRET" not in str(no.value)


def test_an_older_base_warns_of_what_only_a_newer_one_fixes(
    texts: dict[str, str], project_matrix: Matrix
) -> None:
    warned = {c.name: [a.id for a in c.warnings] for c in cells_of(project_matrix)}
    of_7_2_0 = ["hip-event-query", "roctracer", "dispatch-segv"]
    assert warned["sglang-950-rocm7.2.0"] == of_7_2_0
    assert warned["sglang-942-rocm7.2.0"] == [of_7_2_0[0], "replay-corrupted", *of_7_2_0[1:]]
    assert warned["sglang-942-rocm7.2.2"] == ["replay-corrupted"]
    assert warned["sglang-950-rocm7.2.2"] == []
    label = 'rocm-serving-images.warnings="hip-event-query roctracer dispatch-segv"'
    assert label in texts["sglang-950-rocm7.2.0"]
    assert '"id": "roctracer"' in texts["sglang-950-rocm7.2.0"]


@pytest.mark.parametrize(
    ("cell", "variable", "value"),
    [
        # RCCL asks for new firmware of either GPU.
        ("sglang-942-rocm7.2.0", "HSA_NO_SCRATCH_RECLAIM", "1"),
        ("sglang-950-rocm7.2.0", "HSA_NO_SCRATCH_RECLAIM", "1"),
        ("sglang-950-rocm7.2.2", "HSA_ENABLE_IPC_MODE_LEGACY", "1"),
        # Its AITER has the fix.
        ("sglang-942-rocm7.2.2", "SGLANG_USE_AITER_AG", None),
        ("sglang-942-rocm7.2.2", "SGLANG_USE_AITER_AR", "1"),
        # SGLang limits it to CUDA.
        ("sglang-942-rocm7.2.2", "SGLANG_ENABLE_WAR_BARRIER", None),
        # Nothing reads it.
        ("sglang-942-rocm7.2.2", "SGLANG_DISABLE_CUDNN_CHECK", None),
        ("sglang-942-rocm7.2.0", "DEBUG_HIP_GRAPH_SEGMENT_SCHEDULING", None),
        ("sglang-942-rocm7.2.4", "DEBUG_HIP_GRAPH_SEGMENT_SCHEDULING", "0"),
        ("sglang-942-rocm7.2.2", "NCCL_MIN_NCHANNELS", None),
    ],
)
def test_each_mitigation_is_set_where_its_advisory_applies(
    project_matrix: Matrix, cell: str, variable: str, value: str | None
) -> None:
    env = next(c.env for c in cells_of(project_matrix) if c.name == cell)
    assert env.get(variable) == value


def test_the_guard_is_built_into_the_images_that_the_advisory_applies_to_and_no_other(
    texts: dict[str, str], project_matrix: Matrix
) -> None:
    carried = {cell.name: cell.capture_guard for cell in cells_of(project_matrix)}
    assert (carried["sglang-942-rocm7.2.0"], carried["sglang-942-rocm7.2.2"]) == (True, False)
    for name, text in texts.items():
        assert ("COPY --link --from=capture-guard" in text) is carried[name]
        assert ("FROM base AS capture-guard" in text) is carried[name]
        assert f'"capture_guard": {str(carried[name]).lower()}' in text
        label = "off by default" if carried[name] else "none"
        assert f'rocm-serving-images.capture-guard="{label}"' in text
        # Off: no image sets the variable, or preloads anything.
        assert not re.search(r"^(ENV|ARG|    ) *(CAPTURE_GUARD|LD_PRELOAD)=", text, re.MULTILINE)


def test_a_new_base_has_the_guard_by_the_advisorys_range(project_matrix: Matrix) -> None:
    base = project_matrix.bases["7.2.2"]
    bases = {"7.2.0.1": base, "7.2.1": base}
    matrix = project_matrix.model_copy(update={"bases": bases})
    found = {cell.rocm: cell.capture_guard for cell in cells_of(matrix)}
    assert found == {"7.2.0.1": True, "7.2.1": False}


@pytest.mark.parametrize(
    ("aiter", "advisories"),
    [
        (
            "0.1.19.post2",
            {"aiter-ar-slot", "aiter-allgather", "dsa-indexer", "expandable-segments"},
        ),
        # c16d44b: the fix of expandable-segments is in it, the others' is not.
        ("0.1.19.post3.dev139+gc16d44b93", {"aiter-ar-slot", "aiter-allgather", "dsa-indexer"}),
        # acf8fdf9, which PEP 440 puts before the release that has the fix, too.
        ("0.1.22.dev120+gacf8fdf93", set()),
        ("0.1.22", set()),
    ],
)
def test_what_an_aiter_has_and_has_not_follows_from_its_version(
    tmp_path: Path, aiter: str, advisories: set[str]
) -> None:
    text = (PROJECT / "matrix.yaml").read_text()
    pin = " version: 0.1.22.dev120+gacf8fdf93\n"
    assert text.count(pin) == 2
    path = tmp_path / "matrix.yaml"
    path.write_text(text.replace(pin, f" version: {aiter}\n"))
    cells = {cell.name: cell for cell in cells_of(load(path))}
    one, other = cells["sglang-942-rocm7.2.2"], cells["sglang-950-rocm7.2.2"]
    assert OF_AITER & {advisory.id for advisory in one.advisories} == advisories
    # The slot is gfx942's.
    assert OF_AITER & {a.id for a in other.advisories} == advisories - {"aiter-ar-slot"}
    assert one.all_reduce == ("sglang" if "aiter-ar-slot" in advisories else "aiter")
    assert other.all_reduce == "aiter"
    wanted = {"1"} if "dsa-indexer" in advisories else {None}
    assert {
        cell.env.get("SGLANG_DISABLE_AITER_FUSED_FP8_DSA_INDEXER") for cell in (one, other)
    } == wanted


@pytest.mark.parametrize(
    ("release", "affected"),
    [("7.1.1", False), ("7.2.0", True), ("7.2.3", True), ("7.2.4", False), ("7.13.0", False)],
)
def test_corrupted_replays_are_said_of_the_releases_that_showed_them(
    project_matrix: Matrix, release: str, affected: bool
) -> None:
    (advisory,) = (a for a in project_matrix.advisories if a.id == "replay-corrupted")
    for arch in ("942", "950"):
        versions = Versions("sglang", arch, release, "3.10", "2.9.1", {"sglang": "0.5.21"})
        assert is_affected(advisory.affected, versions) is (affected and arch == "942")
