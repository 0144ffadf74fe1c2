"""Each layer is attributed to the stage that made it, and shared layers are counted."""

from __future__ import annotations

from rocm_images.engine.layers import Layer, shared_by_all, size_report, stages_of_layers
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import cells_of
from rocm_images.recipe.render import render
from rocm_images.sizes import Sizes

DOCKERFILE = """\
FROM scratch AS src
ADD https://example.org/x.git#v1 /
FROM image:1 AS base
RUN one \\
 && RUN is not an instruction here
FROM base AS tool
RUN two
FROM base AS serving
COPY --from=tool / /
COPY <<'END' <<second.py /
RUN not an instruction either
END
RUN nor is this
second.py
RUN three
ENV A=1
"""


def layers(*digests: str) -> list[Layer]:
    return [Layer(f"sha256:{digest}", 1_000_000, "base", "RUN x") for digest in digests]


def test_a_layer_belongs_to_the_stage_that_its_instruction_stands_in() -> None:
    assert stages_of_layers(DOCKERFILE) == ("base", "serving", "serving", "serving")


def test_the_recipe_s_layers_are_of_the_stages_that_the_image_stands_on(
    project_matrix: Matrix,
) -> None:
    for cell, text in render(project_matrix, cells_of(project_matrix)):
        system = ["system"] if cell.sdk else []
        found = list(dict.fromkeys(stages_of_layers(text)))
        server = ["server"] if cell.server.own_wheel else []
        assert found == [*system, "base", "deps", "kernels", *server, "serving"]


def test_only_layers_from_the_first_on_are_shared() -> None:
    assert shared_by_all({"a": layers("1", "2", "3"), "b": layers("1", "2", "4")}) == 2
    assert shared_by_all({"a": layers("1", "2"), "b": layers("9", "2")}) == 0


def test_the_report_says_what_is_stored_once() -> None:
    sizes = {"942": Sizes(1_200_000, 3_000_000), "950": Sizes(unpacked=3_000_000)}
    report = size_report({"942": layers("1", "2", "3"), "950": layers("1", "2", "4")}, sizes)
    assert "942: 1.2 MB compressed, 3.0 MB unpacked, 3 layers" in report
    assert "950: compressed not known, 3.0 MB unpacked, 3 layers" in report
    assert "942, 950 share 2 layers: 2.0 MB unpacked are stored once" in report
