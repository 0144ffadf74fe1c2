"""The image says of itself what the matrix says of its cell."""

from __future__ import annotations

import json
from typing import Any

from testinfra.host import Host

from conftest import ImageUnderTest


def test_every_label_of_the_cell_is_on_the_image(
    image: ImageUnderTest, attributes: dict[str, Any]
) -> None:
    labels = attributes["Config"]["Labels"]
    assert {name: labels.get(name) for name in image.expected_labels} == image.expected_labels


def test_the_environment_is_the_one_the_advisories_give(image: ImageUnderTest, host: Host) -> None:
    environment = host.environment()
    assert {name: environment.get(name) for name in image.cell.env} == image.cell.env


def test_no_variable_overrides_the_gpu_that_is_found(host: Host) -> None:
    # AITER trusts GPU_ARCHS over the GPU: left in an image, it compiles for the wrong one. (The
    # base's PYTORCH_ROCM_ARCH is a default for compiles only, and stays.)
    environment = host.environment()
    assert not {"GPU_ARCHS", "AMDGPU_TARGET"} & environment.keys()


def test_image_json_describes_the_cell(image: ImageUnderTest, host: Host) -> None:
    facts = json.loads(host.file("/opt/rocm-images/image.json").content_string)
    cell = image.cell
    assert (facts["cell"], facts["gfx"], facts["rocm"]) == (cell.name, cell.gfx, cell.rocm)
    assert facts["env"] == cell.env


def test_image_sh_says_the_same_to_the_shell(image: ImageUnderTest, host: Host) -> None:
    said = host.check_output(
        "image_warning() { :; }; . /opt/rocm-images/image.sh;"
        ' echo "$image_cell $image_gfx $image_rocm"'
    )
    assert said == f"{image.cell.name} {image.cell.gfx} {image.cell.rocm}"
