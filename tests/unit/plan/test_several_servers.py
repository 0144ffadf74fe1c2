"""An advisory may set variables of several servers: each image gets its own server's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from rocm_images.errors import MatrixError
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.plan.explain import explain
from rocm_images.plan.load import load
from rocm_images.plan.variants import Versions, is_affected
from rocm_images.servers import SERVERS

PROJECT = Path(__file__).resolve().parents[3]
MatrixFile = Callable[..., Path]
SGLANG, VLLM, SWITCH = (
    "SGLANG_USE_AITER_AR",
    "VLLM_ROCM_USE_AITER_CUSTOM_AR",
    "VLLM_ROCM_USE_AITER",
)


def block(version: str, env: Mapping[str, str]) -> str:
    settings = ", ".join(f"{name}: {{value: {value}, why: w}}" for name, value in env.items())
    return f"""\
  vllm:
    repository: vllm-rocm
    title: vLLM for AMD GPUs
    sources:
      vllm: {{git: https://example.org/vllm.git, ref: v{version}, version: {version}, why: w}}
      aiter: {{git: https://example.org/aiter.git, ref: v0.1.19, version: 0.1.19, why: w}}
      flash-attention: {{git: https://example.org/f.git, ref: v2, version: 2.8.3, why: w}}
    env: {{{settings}}}
advisories:
"""


def cells(
    matrix_file: MatrixFile, version: str, *replaced: tuple[str, str], **env: str
) -> dict[str, Cell]:
    both = f"      {SGLANG}: 0\n", f"      {SGLANG}: 0\n      {VLLM}: 0\n      HSA_ANY: 1\n"
    path = matrix_file(both, ("advisories:\n", block(version, env)), *replaced)
    return {cell.name: cell for cell in cells_of(load(path))}


def test_what_an_advisory_sets_goes_to_the_server_whose_variable_it_is(
    matrix_file: MatrixFile,
) -> None:
    planned = cells(matrix_file, "0.27.1", **{SWITCH: "1"})
    assert planned["sglang-942-rocm7.2.0"].env == {SGLANG: "0", "HSA_ANY": "1"}
    vllm = planned["vllm-942-rocm7.2.0"]
    assert vllm.env == {VLLM: "0", SWITCH: "1", "HSA_ANY": "1"}
    assert (vllm.all_reduce, vllm.all_reduce_reason) == ("vllm", "hip-event-query (ROCm <7.2.1)")
    free = planned["vllm-942-rocm7.2.2"]
    assert free.env == {SWITCH: "1"}
    assert free.all_reduce == "aiter"
    assert free.all_reduce_reason.startswith("vLLM's own default; does not apply here: hip-")


def test_a_release_that_reads_no_variable_gets_none_and_explain_says_why(
    matrix_file: MatrixFile,
) -> None:
    cell = cells(matrix_file, "0.18.1", **{SWITCH: "1"})["vllm-942-rocm7.2.0"]
    assert cell.env == {SWITCH: "1", "HSA_ANY": "1"}
    assert (cell.all_reduce, cell.all_reduce_reason) == (
        "vllm",
        "vLLM 0.18.1 has no choice of its all-reduce",
    )
    # The advisory is still one of the image, for what else it says and sets.
    assert [advisory.id for advisory in cell.advisories] == ["hip-event-query"]
    assert "all-reduce  vllm (vLLM 0.18.1 has no choice of its all-reduce)" in explain(cell)


@pytest.mark.parametrize("env", [{SWITCH: "0"}, {}])
def test_what_is_not_taken_without_another_variable_says_which(
    matrix_file: MatrixFile, env: dict[str, str]
) -> None:
    cell = cells(matrix_file, "0.27.1", **env)["vllm-942-rocm7.2.2"]
    assert cell.all_reduce == "vllm"
    assert cell.all_reduce_reason == "AITER's is only taken with VLLM_ROCM_USE_AITER=1"


OURS = (PROJECT / "matrix.yaml").read_text()
OURS = OURS[OURS.index("\nadvisories:\n") + 1 : OURS.index("\n# Where images are published")]


@pytest.fixture(params=["0.18.1", "0.27.1"])
def known(request: pytest.FixtureRequest, matrix_file: MatrixFile) -> dict[str, Cell]:
    """The cells of two servers, with all that our matrix knows."""
    small = matrix_file().read_text()
    small = small[small.index("advisories:\n") : small.index("date:")]
    servers = block(request.param, {SWITCH: "0"}).removesuffix("advisories:\n")
    path = matrix_file((small, f"{servers}{OURS}"))
    return {cell.name: cell for cell in cells_of(load(path))}


def test_no_image_gets_a_variable_of_another_server_by_what_we_know(
    known: dict[str, Cell],
) -> None:
    for cell in known.values():
        others = [s.variables for s in SERVERS.values() if s is not cell.server]
        assert [name for name in cell.env if name.startswith(tuple(others))] == []


def test_aiters_all_reduce_is_off_in_both_servers_where_its_aiter_is_faulty(
    known: dict[str, Cell],
) -> None:
    # Both have AITER 0.1.19 here, and the advisory is of gfx942.
    assert known["sglang-942-rocm7.2.2"].env[SGLANG] == "0"
    cell = known["vllm-942-rocm7.2.2"]
    takes_aiters = cell.version == "0.27.1"
    assert ("aiter-ar-slot" in {advisory.id for advisory in cell.advisories}) is takes_aiters
    assert cell.env.get(VLLM) == ("0" if takes_aiters else None)
    assert VLLM not in known["vllm-950-rocm7.2.2"].env


@pytest.mark.parametrize(
    ("server", "version", "told"),
    [
        ("vllm", "0.18.1", set()),
        ("vllm", "0.20.2", set()),
        # What is fused with RMSNorm.
        ("vllm", "0.21.0", {"ar-exit-barrier"}),
        ("vllm", "0.24.0", {"ar-exit-barrier"}),
        ("vllm", "0.25.0", {"ar-exit-barrier", "aiter-ar-slot"}),
        ("sglang", "0.5.21", {"ar-exit-barrier", "aiter-ar-slot"}),
        # Of which nothing is said.
        ("third", "0.1", {"ar-exit-barrier", "aiter-ar-slot"}),
    ],
)
def test_a_fault_of_aiters_all_reduce_is_told_of_releases_that_can_take_it(
    server: str, version: str, told: set[str]
) -> None:
    sources = {server: version, "aiter": "0.1.10.post2"}
    versions = Versions(server, "942", "7.2.2", "3.10", "2.9.1", sources)
    found = {
        advisory.id
        for advisory in load(PROJECT / "matrix.yaml").advisories
        if advisory.component == "AITER all-reduce" and is_affected(advisory.affected, versions)
    }
    assert found == told


def test_what_is_known_of_one_server_is_not_told_of_the_other(known: dict[str, Cell]) -> None:
    told = {cell.server.name: set[str]() for cell in known.values()}
    for cell in known.values():
        told[cell.server.name] |= {advisory.id for advisory in cell.advisories}
    assert {"captured-all-gather"} <= told["vllm"] - told["sglang"]
    assert {"partial-dp-attention", "dp-padding", "war-barrier", "aiter-allgather"} <= (
        told["sglang"] - told["vllm"]
    )
    newer = known["vllm-942-rocm7.2.2"].version == "0.27.1"
    assert ("aiter-cold-replay" in told["vllm"]) is ("mxfp4-replay" in told["vllm"]) is newer
    assert ("quick-reduce-replay" in told["vllm"]) is not newer


SECOND = f"""\
  - id: second
    component: c
    affected: {{}}
    symptom: s
    set:
      {VLLM}: 1
    why: w
    references: [vllm-project/vllm#1]
date:"""


def test_settings_that_an_image_does_not_get_are_no_conflict(matrix_file: MatrixFile) -> None:
    assert cells(matrix_file, "0.18.1", ("date:", SECOND))
    with pytest.raises(MatrixError, match="'hip-event-query' and 'second' set VLLM_ROCM"):
        cells(matrix_file, "0.27.1", ("date:", SECOND))


def test_of_several_advisories_that_agree_each_is_named(matrix_file: MatrixFile) -> None:
    second = SECOND.replace(f"{VLLM}: 1", f"{VLLM}: 0")
    cell = cells(matrix_file, "0.27.1", ("date:", second))["vllm-942-rocm7.2.0"]
    assert cell.all_reduce_reason == "hip-event-query (ROCm <7.2.1), second"
    assert f"{VLLM}=0\n      advisory hip-event-query: a reason (also: second)\n" in explain(cell)


@pytest.mark.parametrize(
    "affected", ["{servers: [sglang]}", '{sources: {sglang: ">=0.5", aiter: "<1"}}']
)
def test_a_variable_of_a_server_that_is_not_affected_is_never_set(
    matrix_file: MatrixFile, affected: str
) -> None:
    never = SECOND.replace("affected: {}", f"affected: {affected}")
    with pytest.raises(MatrixError, match=f"never set: {VLLM} is vLLM's, which is not affected"):
        cells(matrix_file, "0.18.1", ("date:", never))


def test_what_is_known_of_a_server_may_stand_in_a_matrix_without_it(
    matrix_file: MatrixFile,
) -> None:
    known = SECOND.replace("affected: {}", 'affected: {sources: {vllm: "<0.27"}}')
    assert len(cells_of(load(matrix_file(("date:", known))))) == 4
