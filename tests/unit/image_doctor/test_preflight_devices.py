"""What rocm-preflight says of devices: whether they open, why not, and of which GPUs they are."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

import pytest

import topologies
from preflight_runs import VIDEO, WRONG_GFX, Preflight, give_devices, someone_in
from refusing_kernel import refusing
from topologies import (
    AZURE,
    GFX1036,
    GFX1103,
    MI300A,
    MI300X,
    MI300X_VF,
    MI308X,
    MI325X,
    Gpu,
    several,
)


@pytest.mark.parametrize("device", ["dev/kfd", "dev/dri/renderD129"])
def test_without_permission_the_group_is_named_by_number(preflight: Preflight, device: str) -> None:
    path = preflight.made.root / device
    give_devices(preflight.made.root, 0o666)
    path.chmod(0o660 if os.geteuid() == 0 else 0)
    (line,) = preflight(**someone_in([]))
    assert f"this user may not open /{device}, which belongs to group {path.stat().st_gid}." in line
    assert f"--group-add {path.stat().st_gid} " in line


def test_someone_who_is_in_the_group_may_open_the_devices(preflight: Preflight) -> None:
    give_devices(preflight.made.root, 0o660)
    assert preflight(**someone_in([VIDEO])) == []


REFUSED = [
    (errno.EPERM, "this container may not open /dev/kfd: its device cgroup", "not with --volume"),
    (
        errno.ENXIO,
        "/dev/kfd is there, but no driver answers (No such device or",
        "amdgpu is loaded",
    ),
    (errno.ENODEV, "/dev/kfd is there, but no driver answers (No such device)", "amdgpu is loaded"),
    (
        errno.EBUSY,
        "/dev/kfd is busy (Device or resource busy): something else",
        "fuser -v /dev/kfd",
    ),
    (errno.EINVAL, "/dev/kfd cannot be opened: Invalid argument.", "dmesg"),
    (errno.EIO, "/dev/kfd cannot be opened: Input/output error.", "dmesg"),
]


@pytest.mark.parametrize(("number", "said", "advice"), REFUSED, ids=lambda one: str(one)[:20])
def test_what_the_kernel_says_to_the_opening_is_named(
    preflight: Preflight, number: int, said: str, advice: str
) -> None:
    """The permission bits of every device here say that anybody may open it."""
    give_devices(preflight.made.root, 0o666)
    (line,) = preflight(preexec_fn=refusing(number))
    assert said in line
    assert advice in line
    assert "--group-add" not in line
    lines = preflight.run("--report", preexec_fn=refusing(number)).stdout.splitlines()
    (status,) = (line.split("\t")[1] for line in lines if line.startswith("gpu-access"))
    assert status == "warn"


@pytest.mark.parametrize("device", ["dev/kfd", "dev/dri/renderD129"])
def test_what_is_no_device_is_named(preflight: Preflight, device: str) -> None:
    path = preflight.made.root / device
    path.unlink()
    path.mkdir()
    (line,) = preflight()
    assert f"/{device} is a folder, no device" in line
    assert f"Use --device /{device}," in line
    path.rmdir()
    path.symlink_to("nowhere")
    (line,) = (line for line in preflight() if "error" not in line)
    assert f"/{device} is named here, but there is none behind the name" in line
    assert not (path.parent / "nowhere").exists()
    path.unlink()
    # A driver that is gone: a socket answers like that, too.
    with socket.socket(socket.AF_UNIX) as nobody:
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            nobody.bind(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
    assert f"/{device} is there, but no driver answers" in preflight()[0]


@pytest.mark.parametrize("owners", [(0, 65534), (65534, 65534), (65534, VIDEO)])
def test_owners_that_are_nobody_here_mean_a_user_namespace(
    preflight: Preflight, owners: tuple[int, int]
) -> None:
    give_devices(preflight.made.root, 0o666)
    path = preflight.made.root / "dev/kfd"
    someone: dict[str, Any] = {}
    if os.geteuid() == 0:
        os.chown(path, *owners)
        path.chmod(0o660)
        someone = {"user": 1000, "group": 1000, "extra_groups": []}
    else:
        path.chmod(0)
        fake = preflight.made.write("bin/stat", f"#!/bin/sh\necho {owners[0]} {owners[1]}\n")
        fake.chmod(0o755)
        preflight.made.environment["PATH"] = f"{fake.parent}:/usr/bin:/bin"
    (line,) = preflight(**someone)
    assert f"this user may not open /dev/kfd, whose owner ({owners[0]}:{owners[1]}) is no" in line
    assert "user namespace" in line
    assert "--group-add keep-groups" in line
    assert "run.oci.keep_original_groups=1" in line
    assert "--group-add video" not in line


def report_of(preflight: Preflight, name: str) -> list[str]:
    lines = (line.split("\t") for line in preflight.run("--report").stdout.splitlines())
    (found,) = (line[1:] for line in lines if line[0] == name)
    return found


@pytest.mark.parametrize(
    ("gpus", "said"),
    [
        (several(MI300X), "8 x AMD Instinct MI300X."),
        (several(MI325X, 1), "1 x AMD Instinct MI325X."),
        (several(MI300A, 4), "4 x AMD Instinct MI300A."),
        (several(MI300X_VF), "8 x AMD Instinct MI300X VF."),
        (AZURE, "4 x AMD Instinct MI300X VF."),
        (
            several(MI300X, partitions=8),
            "64 devices, which are partitions (CPX) of 8 x AMD Instinct MI300X; whole, each has 8 ",
        ),
        (
            several(MI300X, partitions=8, memory="NPS4"),
            "64 devices, which are partitions (CPX, memory in NPS4) of 8 x AMD Instinct MI300X; ",
        ),
        (
            several(MI300X, partitions=2, memory="NPS1"),
            "16 devices, which are partitions (DPX, memory in NPS1) of 8 x AMD Instinct MI300X; ",
        ),
        (
            several(MI300X, 1, device_id=29999, partitions=8),
            "8 devices, which are partitions (CPX) of 1 x gfx942; whole, each has 8 ",
        ),
        (several(MI300X, partitions=4), "32 devices, which are partitions (QPX) of 8 x AMD "),
        (several(MI300A, 4, partitions=3), "12 devices, which are partitions (TPX) of 4 x AMD "),
        (several(MI300A, 4, partitions=6), "24 devices, which are partitions (CPX) of 4 x AMD "),
        (
            several(MI308X, partitions=4),
            "32 devices, which are partitions (CPX) of 8 x AMD Instinct MI308X; whole, each has 4",
        ),
    ],
)
def test_the_doctor_says_what_the_devices_of_a_machine_are(
    preflight: Preflight, gpus: list[Gpu], said: str
) -> None:
    topologies.write(preflight.made.root, gpus)
    assert preflight() == []
    status, sentence, _ = report_of(preflight, "gpu-gfx")
    assert status == "pass"
    assert sentence.startswith(f"every GPU here is gfx942: {said}")


def test_one_partition_of_a_gpu_is_known_for_one(preflight: Preflight) -> None:
    """Kubernetes gives a pod as many partitions as it asks for."""
    topologies.write(preflight.made.root, several(MI300X, partitions=8))
    for number in range(129, 192):
        (preflight.made.root / f"dev/dri/renderD{number}").unlink()
    _, sentence, _ = report_of(preflight, "gpu-gfx")
    assert "1 devices, which are partitions (CPX) of 1 x AMD Instinct MI300X" in sentence


@pytest.mark.parametrize("integrated", [GFX1036, GFX1103])
def test_an_integrated_gpu_is_named_with_the_flags_that_leave_it_out(
    preflight: Preflight, integrated: Gpu
) -> None:
    topologies.write(preflight.made.root, [integrated, *several(MI300X, 2)])
    (line,) = preflight()
    assert "of 3 GPUs 2 are gfx942; there is gfx1" in line
    assert "(integrated in the CPU) as well, which this image cannot use" in line
    assert "--device /dev/dri/renderD129 --device /dev/dri/renderD130 in place of" in line


def test_partitions_beside_an_integrated_gpu_are_called_devices(preflight: Preflight) -> None:
    topologies.write(preflight.made.root, [*several(MI300X, 2, partitions=8), GFX1036])
    (line,) = preflight()
    assert "of 17 devices 16 are gfx942; there is gfx1036 (integrated in the CPU) as well" in line


def test_an_integrated_gpu_that_cannot_be_opened_is_in_nobodys_way(preflight: Preflight) -> None:
    topologies.write(preflight.made.root, [GFX1036, *several(MI300X, 2)])
    node = preflight.made.root / "dev/dri/renderD128"
    node.unlink()
    node.mkdir()
    assert report_of(preflight, "gpu-access")[0] == "pass"
    node.rmdir()
    node.touch()
    (preflight.made.root / "dev/dri/renderD129").unlink()
    (preflight.made.root / "dev/dri/renderD129").mkdir()
    assert report_of(preflight, "gpu-access")[0] == "warn"


def test_a_machine_with_an_integrated_gpu_alone_has_none_for_the_image(
    preflight: Preflight,
) -> None:
    topologies.write(preflight.made.root, [GFX1036])
    (line,) = preflight(expected=WRONG_GFX)
    assert "this machine's GPU is gfx1036 (integrated in the CPU); the image " in line
