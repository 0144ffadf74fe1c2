"""What this machine has is read from the kernel's topology. Every tree here is made up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from made_up_catalogue import catalogue
from rocm_images.catalogue.file import write
from rocm_images.cli.main import main
from rocm_images.deploying.gpus import usable
from rocm_images.engine.machine import devices
from rocm_images.errors import ExitCode, NoImageFits
from rocm_images.matrix.schema import Matrix

GFX942, GFX950, GFX90A = 90402, 90500, 90010


def machine(root: Path, *versions: int) -> Path:
    """A made-up machine with GPUs of these gfx_target_versions, behind a node of its CPUs."""
    nodes = root / "sys/class/kfd/kfd/topology/nodes"
    for number, version in enumerate((0, *versions)):
        node = nodes / str(number)
        node.mkdir(parents=True)
        minor = 127 + number if number else 0
        (node / "properties").write_text(
            f"simd_count 0\ngfx_target_version {version}\ndrm_render_minor {minor}\n"
        )
        if number:
            (root / "dev/dri").mkdir(parents=True, exist_ok=True)
            (root / f"dev/dri/renderD{minor}").touch()
    (root / "dev").mkdir(exist_ok=True)
    (root / "dev/kfd").touch()
    return root


def gpus(root: Path) -> list[str]:
    return [device.gfx for device in devices(root)]


def gfx_of(root: Path) -> str:
    return usable(devices(root), root, {"gfx942", "gfx950", "gfx90a"})[0].gfx


@pytest.mark.parametrize(
    ("version", "gfx"), [(GFX942, "gfx942"), (GFX950, "gfx950"), (GFX90A, "gfx90a")]
)
def test_gpus_of_one_kind_are_named(tmp_path: Path, version: int, gfx: str) -> None:
    assert gfx_of(machine(tmp_path, version, version)) == gfx


def test_each_gpu_is_listed_and_the_cpus_are_not(tmp_path: Path) -> None:
    assert gpus(machine(tmp_path, GFX942, GFX950, GFX950)) == ["gfx942", "gfx950", "gfx950"]


def test_without_the_driver_it_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoImageFits, match=r"there is no /dev/kfd: .* amdgpu driver"):
        gfx_of(tmp_path)


def test_a_gpu_without_its_render_node_does_not_count(tmp_path: Path) -> None:
    root = machine(tmp_path, GFX942, GFX950)
    (root / "dev/dri/renderD129").unlink()
    assert gfx_of(root) == "gfx942"
    (root / "dev/dri/renderD128").unlink()
    with pytest.raises(NoImageFits, match="no GPU that has its render node"):
        gfx_of(root)


def test_gpus_of_several_kinds_are_counted(tmp_path: Path) -> None:
    with pytest.raises(NoImageFits, match="2 of gfx942 and 1 of gfx950, and an image is for one"):
        gfx_of(machine(tmp_path, GFX942, GFX950, GFX942))


@pytest.mark.parametrize("version", ["090402", "9" * 30, "0x16104", "90402 7", "$((1/0))", ""])
def test_a_version_that_is_none_is_no_gpu(tmp_path: Path, version: str) -> None:
    root = machine(tmp_path, GFX942, GFX950)
    node = root / "sys/class/kfd/kfd/topology/nodes/2/properties"
    node.write_text(f"gfx_target_version {version}\ndrm_render_minor 129\n")
    assert gpus(root) == ["gfx942"]


def test_a_pipe_in_the_topology_is_not_waited_for(tmp_path: Path) -> None:
    root = machine(tmp_path, GFX942, GFX950)
    node = root / "sys/class/kfd/kfd/topology/nodes/2/properties"
    node.unlink()
    os.mkfifo(node)
    assert gpus(root) == ["gfx942"]


def test_a_topology_that_no_kernel_shows_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = machine(tmp_path, GFX942)
    with (root / "sys/class/kfd/kfd/topology/nodes/1/properties").open("wb") as file:
        file.truncate(1 << 30)
    monkeypatch.setattr("rocm_images.engine.machine.SECONDS", 0.5)
    with pytest.raises(NoImageFits, match=r"takes longer than 0\.5 s .*name the GPU's arch"):
        gpus(root)


@pytest.fixture
def pick(project_matrix: Matrix, tmp_path: Path) -> list[str]:
    path = tmp_path / "catalogue.json"
    write(path, catalogue(project_matrix))
    return ["pick", "--auto", "--catalogue", str(path), "--unverified", "--root", str(tmp_path)]


def test_auto_picks_the_image_of_the_machines_gpu(
    pick: list[str], project_matrix: Matrix, tmp_path: Path
) -> None:
    machine(tmp_path, GFX950)
    done = CliRunner().invoke(main, pick)
    wanted = next(
        image
        for image in catalogue(project_matrix).images
        if image.gfx == "gfx950" and image.recommended
    )
    assert done.stdout == f"{wanted.reference}\n"
    assert "no GPU has run this image" in done.stderr


def test_a_gpu_that_no_image_is_for_is_said_with_those_that_there_are(
    pick: list[str], tmp_path: Path
) -> None:
    machine(tmp_path, GFX90A)
    done = CliRunner().invoke(main, pick)
    assert isinstance(done.exception, NoImageFits)
    assert done.exception.exit_code == ExitCode.NO_IMAGE_FITS == 12
    assert "GPU is gfx90a" in str(done.exception)
    assert "gfx942 (AMD Instinct MI300X, AMD Instinct MI325X)" in str(done.exception)
    assert done.stdout == ""
