"""What changes rarely comes first in an image, and no layer depends on the date of a release."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.recipe.render import render


def rendered(matrix: Matrix, cell: Cell) -> str:
    ((_, text),) = render(matrix, [cell])
    return text


def stages(text: str) -> dict[str, str]:
    """Stage name -> its instructions, by the order of the file."""
    blocks = re.split(r"^(?=FROM )", text, flags=re.MULTILINE)[1:]
    return {
        block.split("\n", 1)[0].split()[-1]: re.sub(
            r"^#.*\n", "", block, flags=re.MULTILINE
        ).strip()
        for block in blocks
    }


def chain(text: str) -> list[str]:
    """The stages that the image stands on, the lowest first."""
    parents = {name: block.split()[1] for name, block in stages(text).items()}
    found = ["serving"]
    while parents[found[0]] in parents:
        found.insert(0, parents[found[0]])
    return found


@pytest.fixture(scope="module")
def two_releases(project_matrix: Matrix) -> tuple[str, str]:
    """One cell of two releases of the images, with another SGLang, on the same pins."""
    cell = next(c for c in cells_of(project_matrix) if c.name == "sglang-942-rocm7.2.2")
    old = cell.sources["sglang"]
    sources = {
        **cell.sources,
        "sglang": old.model_copy(update={"ref": "v9.8.7", "version": "9.8.7"}),
    }
    later = replace(cell, sources=sources, epoch=cell.epoch + 86_400 * 30)
    assert later.version == "9.8.7"
    return rendered(project_matrix, cell), rendered(project_matrix, later)


def test_what_another_sglang_changes_is_its_own_stages(two_releases: tuple[str, str]) -> None:
    one, other = map(stages, two_releases)
    assert one.keys() == other.keys()
    changed = {name for name in one if one[name] != other[name]}
    assert changed == {"sglang-src", "wheel", "facts", "serving"}
    # Of the last, the labels: no step.
    steps = [
        re.findall(r"^(?:RUN|COPY) (?:.*\\\n)*.*", text["serving"], re.M) for text in (one, other)
    ]
    assert steps[0] == steps[1]


def test_an_image_stands_on_what_changes_rarely(two_releases: tuple[str, str]) -> None:
    for text in two_releases:
        assert chain(text) == ["base", "deps", "kernels", "server", "serving"]
        taken = re.findall(r"^COPY --link --from=(\S+)-layers", stages(text)["kernels"], re.M)
        assert list(dict.fromkeys(taken)) == ["aiter", "fast-hadamard-transform", "sgl-kernel"]
        assert re.findall(r"--from=(\S+)-layers", stages(text)["server"]) == ["server"]


def test_no_stage_below_the_server_sees_its_wheel_or_source(two_releases: tuple[str, str]) -> None:
    for text in two_releases:
        seen = {
            name
            for name, block in stages(text).items()
            if re.search(r"from=(?:wheel|sglang-src|server\S*)\b", block)
        }
        # Its own kernels are compiled from its source.
        assert seen == {"wheel", "requirements", "sgl-kernel", "server-layers", "server", "serving"}
        assert "from=requirements,source=/requirements.txt" in stages(text)["deps-layers"]


def test_no_step_depends_on_the_date_of_the_release(two_releases: tuple[str, str]) -> None:
    epochs = []
    for text in two_releases:
        (epoch,) = re.findall(r"^ARG SOURCE_DATE_EPOCH=(\d+)$", text, re.M)
        # It stands before the first stage, and no stage takes it.
        assert text.count(epoch) == 1
        assert text.index(epoch) < text.index("\nFROM ")
        epochs.append(epoch)
    assert epochs[0] != epochs[1]


@pytest.fixture(scope="module")
def by_name(project_matrix: Matrix) -> dict[str, str]:
    return {cell.name: text for cell, text in render(project_matrix, cells_of(project_matrix))}


def test_what_two_servers_stand_on_is_the_same_steps(by_name: dict[str, str]) -> None:
    for rocm in ("7.2.0", "7.2.2", "7.2.4", "10.0.0"):
        one, other = (stages(by_name[f"{s}-942-rocm{rocm}"]) for s in ("sglang", "vllm"))
        below = {"online", "clock", "base", "rootfs", "ccache"}
        below |= {"system", "sdk-layers", "devices-layers"} & one.keys()
        assert {name: one[name] for name in below} == {name: other[name] for name in below}
        # What they ask for is not, and AITER is compiled on it.
        assert one["deps-layers"] != other["deps-layers"]


def test_a_server_whose_wheel_is_for_one_gpu_has_no_stage_of_another(
    by_name: dict[str, str],
) -> None:
    text = by_name["vllm-942-rocm7.2.2"]
    assert chain(text) == ["base", "deps", "kernels", "serving"]
    assert not {"wheel", "server", "server-layers"} & stages(text).keys()
    told = text.partition("\n# Stages: ")[2].partition(". A base")[0].replace("\n#", "")
    parts = [name for step in told.split(" -> ") for name in step.split(", ")]
    assert parts == [
        *("base", "requirements", "deps", "aiter", "flash-attention", "vllm", "kernels", "serving")
    ]
    taken = re.findall(r"^COPY --link --from=(\S+)-layers", stages(text)["kernels"], re.M)
    assert list(dict.fromkeys(taken)) == ["aiter", "flash-attention", "vllm"]
    # What its wheels replaced is removed, too.
    removed = re.findall(r"target=/run/removed-(\S+)", stages(text)["serving"])
    assert removed == ["aiter", "flash-attention", "vllm"]


def test_the_stages_that_a_dockerfile_names_are_those_that_it_has(by_name: dict[str, str]) -> None:
    for text in by_name.values():
        told = text.partition("\n# Stages: ")[2].partition(". A base")[0]
        named = [name for step in told.split(" -> ") for name in step.split(", ")]
        there = list(stages(text))
        assert [name for name in there if name in named] == named


def test_no_stage_below_the_kernels_sees_the_source_of_the_server(by_name: dict[str, str]) -> None:
    for rocm in ("7.2.2", "10.0.0"):
        found = stages(by_name[f"vllm-950-rocm{rocm}"])
        seen = {name for name, block in found.items() if "from=vllm-src" in block}
        assert seen == {"requirements", "vllm"}
        assert "from=vllm-src,source=/requirements," in found["requirements"]


def test_the_build_of_vllm_goes_to_no_network(by_name: dict[str, str]) -> None:
    # CMake would clone Triton; setuptools would ask for what is not there.
    for name, text in by_name.items():
        if name.startswith("vllm-"):
            for stage in ("flash-attention", "vllm", "vllm-layers", "flash-attention-layers"):
                assert "/run/online" not in stages(text)[stage]
            assert "TRITON_KERNELS_SRC_DIR=/src/triton/" in stages(text)["vllm"]
            assert f"PYTORCH_ROCM_ARCH=gfx{name.split('-')[1]} " in stages(text)["vllm"]
