"""The image holds what it should, and nothing that only its build needed."""

from __future__ import annotations

import pytest
from testinfra.host import Host

from conftest import ImageUnderTest
from rocm_images.render import ROOTFS

PYTHON = "/opt/venv/bin/python"
# Sources, wheels, toolchains and caches of the build stages.
BUILD_LEFTOVERS = (
    "/src",
    "/wheels",
    "/opt/cargo",
    "/opt/rustup",
    "/root/.cargo",
    "/root/.rustup",
    "/tmp/amd_smi",
    "/tmp/aiter-requirements.txt",
    "/etc/apt/sources.list.d/rocm.list",
    "/opt/venv/bin/sccache",
)
ROOTFS_FILES = sorted(path for path in ROOTFS.rglob("*") if path.is_file())


def test_the_rocm_release_is_the_one_of_the_matrix(image: ImageUnderTest, host: Host) -> None:
    # A release can carry a build number behind a dash.
    release = host.file("/opt/rocm/.info/version").content_string.strip()
    assert release.split("-")[0] == image.cell.rocm


@pytest.mark.parametrize("path", ROOTFS_FILES, ids=lambda path: str(path.relative_to(ROOTFS)))
def test_a_file_of_rootfs_is_in_the_image_unchanged(
    image: ImageUnderTest, host: Host, path: object
) -> None:
    from pathlib import Path

    assert isinstance(path, Path)
    inside = host.file(f"/{path.relative_to(ROOTFS)}")
    executable = bool(path.stat().st_mode & 0o100)
    assert inside.content == path.read_bytes()
    assert (inside.user, inside.group) == ("root", "root")
    assert inside.mode == (0o755 if executable else 0o644)


def test_python_is_the_one_of_the_virtual_environment(image: ImageUnderTest, host: Host) -> None:
    script = "import sys; print(sys.prefix, sys.version_info >= (3, 10))"
    assert host.check_output(f"{PYTHON} -c '{script}'") == "/opt/venv True"


@pytest.mark.parametrize("path", BUILD_LEFTOVERS)
def test_nothing_of_the_build_is_left(image: ImageUnderTest, host: Host, path: str) -> None:
    assert not host.file(path).exists


def test_the_caches_of_the_build_are_empty(image: ImageUnderTest, host: Host) -> None:
    files = host.run("find /root/.cache -type f 2>/dev/null").stdout
    assert files == ""


def test_packages_report_the_versions_of_the_matrix(image: ImageUnderTest, host: Host) -> None:
    installed = host.pip.get_packages(pip_path="/opt/venv/bin/pip")
    sources = image.matrix.sources
    expected = {"sglang": sources.sglang.version, "amd-aiter": sources.aiter.version}
    expected |= {name: package.version for name, package in image.matrix.packages.items()}
    found = {name: installed.get(name, {}).get("version") for name in expected}
    assert found == expected


def test_torch_is_built_for_hip(image: ImageUnderTest, host: Host) -> None:
    script = "import torch; print(bool(torch.version.hip), torch.version.cuda)"
    assert host.check_output(f"{PYTHON} -c '{script}'") == "True None"


def test_the_entrypoint_runs_the_command_as_the_main_process(
    image: ImageUnderTest, host: Host
) -> None:
    # The container was started with `sleep`, through the entrypoint.
    assert host.file("/proc/1/comm").content_string.strip() == "sleep"
