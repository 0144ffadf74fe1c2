"""What rocm-preflight says of a machine, each message both said and not said."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

import topologies
from made_up_image import MadeUpImage
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

WRONG_GFX = 21
BUG = {"here": True, "free_from": "7.2.1", "reference": "sgl-project/sglang#23581"}
NOBODY, VIDEO = 65534, 44


class Preflight:
    """Runs rocm-preflight with plain sh on a made-up root."""

    def __init__(self, made: MadeUpImage, programs: Path) -> None:
        self.made = made
        # Beside the root, where whoever runs it can read it.
        self.program = Path(shutil.copy(programs / "rocm-preflight", made.root.parent))

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", str(self.program), "--root", str(self.made.root), *arguments],
            env=self.made.environment,
            capture_output=True,
            text=True,
            timeout=10,
            **options,
        )

    def __call__(self, expected: int = 0, **options: Any) -> list[str]:
        """The lines that it says, its exit code having been checked."""
        done = self.run(**options)
        assert (done.returncode, done.stdout) == (expected, "")
        return done.stderr.splitlines()

    def report(self) -> dict[str, str]:
        """Name -> status of its report."""
        lines = [line.split("\t") for line in self.run("--report").stdout.splitlines()]
        assert {len(line) for line in lines} == {4}
        return {line[0]: line[1] for line in lines}


@pytest.fixture
def preflight(made: MadeUpImage, programs: Path) -> Preflight:
    return Preflight(made, programs)


def test_a_machine_that_fits_is_met_with_silence(preflight: Preflight) -> None:
    assert preflight() == []
    assert set(preflight.report().values()) == {"pass"}


def test_a_gpu_of_another_gfx_is_an_error_that_names_both(preflight: Preflight) -> None:
    preflight.made.set_gpus(90500, 90500)
    (line,) = preflight(expected=WRONG_GFX)
    assert line.startswith("rocm-images: error: this machine's GPU is gfx950; the image ")
    assert "sglang-942-rocm7.2.2 is for gfx942." in line
    assert "ROCM_IMAGES_SKIP_PREFLIGHT=1" in line
    assert preflight.report()["gpu-gfx"] == "fail"


@pytest.mark.parametrize(
    ("version", "gfx"),
    [(90010, "gfx90a"), (90008, "gfx908"), (110001, "gfx1101"), (90400, "gfx940")],
)
def test_every_gfx_is_named_as_rocm_names_it(preflight: Preflight, version: int, gfx: str) -> None:
    preflight.made.set_gpus(version)
    (line,) = preflight(expected=WRONG_GFX)
    assert f"this machine's GPU is {gfx};" in line


def test_the_image_for_950_fits_a_950(preflight: Preflight) -> None:
    preflight.made.describe(gfx="gfx950")
    preflight.made.set_gpus(90500)
    assert preflight() == []


def test_gpus_of_two_kinds_are_a_warning(preflight: Preflight) -> None:
    preflight.made.set_gpus(90402, 90500, 90500)
    (line,) = preflight()
    assert "of 3 GPUs 1 are gfx942; there is gfx950 as well" in line
    assert "HIP_VISIBLE_DEVICES" in line


def test_a_gpu_that_the_container_was_not_given_does_not_count(preflight: Preflight) -> None:
    preflight.made.set_gpus(90402, 90500)
    (preflight.made.root / "dev/dri/renderD129").unlink()
    assert preflight() == []


def test_the_gpus_are_listed_for_programs(preflight: Preflight) -> None:
    preflight.made.set_gpus(90402, 90500, 90402)
    assert preflight.run("--gpus").stdout == "gfx942\ngfx950\ngfx942\n"
    (preflight.made.root / "dev/kfd").unlink()
    done = preflight.run("--gpus")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_without_kfd_the_docker_flag_is_named(preflight: Preflight) -> None:
    (preflight.made.root / "dev/kfd").unlink()
    (line,) = preflight()
    assert line.startswith("rocm-images: warning: there is no /dev/kfd")
    assert "--device /dev/kfd --device /dev/dri" in line
    assert preflight.report()["gpu-gfx"] == "not-run"


def test_without_render_nodes_the_docker_flag_is_named(preflight: Preflight) -> None:
    for node in preflight.made.root.glob("dev/dri/*"):
        node.unlink()
    (line,) = preflight()
    assert "there is no /dev/dri/renderD*" in line
    assert "Add --device /dev/dri to docker run" in line


def give_devices(root: Path, mode: int) -> None:
    """The devices belong to the group video; anyone can reach the folder that they are in."""
    for path in [root / "dev/kfd", *root.glob("dev/dri/*")]:
        path.chmod(mode)
        if os.geteuid() == 0:
            os.chown(path, 0, VIDEO)
    if os.geteuid() == 0:
        for folder in [root, *root.parents][:4]:
            folder.chmod(0o755)


def someone_in(groups: list[int]) -> dict[str, Any]:
    """Root may open everything: where the tests are root's, run as someone else."""
    if os.geteuid() != 0:
        return {}
    return {"user": NOBODY, "group": NOBODY, "extra_groups": groups}


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


@pytest.mark.parametrize("value", ["1", "true", "TRUE", None])
def test_aiters_all_reduce_by_hand_on_an_affected_base_is_a_warning(
    preflight: Preflight, value: str | None
) -> None:
    preflight.made.describe(rocm="7.2.0", capture_bug=BUG, env={"SGLANG_USE_AITER_AR": "0"})
    preflight.made.environment.pop("SGLANG_USE_AITER_AR")
    if value is not None:
        preflight.made.environment["SGLANG_USE_AITER_AR"] = value
    (line,) = preflight()
    assert "on ROCm 7.2.0" in line
    assert "sgl-project/sglang#23581" in line
    assert "use an image on ROCm 7.2.1 or later." in line


def test_a_bug_that_no_release_is_said_to_be_free_of_is_warned_of_as_well(
    preflight: Preflight,
) -> None:
    preflight.made.describe(capture_bug={**BUG, "free_from": None})
    (line,) = preflight()
    assert "use an image on a newer ROCm." in line


@pytest.mark.parametrize(
    ("here", "value"),
    [(True, "0"), (True, "false"), (True, "on"), (True, ""), (False, "1"), (False, "true")],
)
def test_a_setting_that_fits_the_base_is_met_with_silence(
    preflight: Preflight, here: bool, value: str
) -> None:
    preflight.made.describe(capture_bug={**BUG, "here": here})
    preflight.made.environment["SGLANG_USE_AITER_AR"] = value
    assert preflight() == []


def test_a_default_that_another_advisory_set_is_defended_as_well(preflight: Preflight) -> None:
    preflight.made.describe(env={"SGLANG_USE_AITER_AR": "0"})
    (line,) = preflight()
    assert "the image sets 0 because of an advisory" in line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (",size=65536k", "/dev/shm has 64 MiB"),
        (",size=8388607k,inode64", "/dev/shm has 8191 MiB"),
        (",size=8388608k", None),
        (",size=33554432k,mode=1777", None),
        ("", None),
        (None, None),
    ],
)
def test_shared_memory_below_8_gib_is_a_warning(
    preflight: Preflight, options: str | None, said: str | None
) -> None:
    preflight.made.set_shared_memory(options)
    lines = preflight()
    assert len(lines) == (said is not None)
    if said:
        assert said in lines[0]
        assert "Add --shm-size 32g to docker run" in lines[0]


def test_each_warning_of_the_image_is_a_line(preflight: Preflight) -> None:
    preflight.made.describe(
        warnings=[
            {"id": "roctracer", "text": 'kernels miss from "traces" below ROCm 7.2.2, 100%\\n'},
            {"id": "scratch", "text": "RCCL can hang: $HOME `id` %s"},
        ]
    )
    first, second = preflight()
    assert 'kernels miss from "traces" below ROCm 7.2.2, 100%\\n Advisory roctracer' in first
    assert "RCCL can hang: $HOME `id` %s Advisory scratch" in second
    assert preflight.report()["advisory-roctracer"] == "warn"


def test_an_image_without_warnings_says_none(preflight: Preflight) -> None:
    preflight.made.describe(warnings=[])
    assert preflight() == []


def test_everything_wrong_at_once_is_all_said(preflight: Preflight) -> None:
    preflight.made.describe(rocm="7.2.0", capture_bug=BUG)
    preflight.made.set_gpus(90500, 90500)
    preflight.made.set_shared_memory(",size=65536k")
    assert len(preflight(expected=WRONG_GFX)) == 3


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", "image_gfx='gfx950", "image_warning a b; exit 3", "\0\n" * 50]
)
def test_a_description_that_cannot_be_read_stops_nothing(
    preflight: Preflight, text: str | None
) -> None:
    path = preflight.made.root / "opt/rocm-images/image.sh"
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    assert preflight() == []
    assert preflight.report()["gpu-gfx"] == "not-run"


@pytest.mark.parametrize(
    "content", ["", "gfx_target_version\n", "gfx_target_version x\ndrm_render_minor 128\n", "\0"]
)
def test_a_sysfs_that_cannot_be_read_stops_nothing(preflight: Preflight, content: str) -> None:
    for node in preflight.made.root.glob("sys/class/kfd/kfd/topology/nodes/*/properties"):
        node.write_text(content)
    assert preflight() == []
    assert preflight.report()["gpu-gfx"] == "not-run"


def test_an_empty_root_stops_nothing(preflight: Preflight, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    preflight.made.root = empty
    (line,) = preflight()
    assert "there is no /dev/kfd" in line


def test_no_process_is_started_where_all_is_well(preflight: Preflight) -> None:
    # Without any program on the path it says the same.
    preflight.made.environment["PATH"] = "/nowhere"
    program = str(preflight.program)
    done = subprocess.run(
        ["/bin/sh", program, "--root", str(preflight.made.root)],
        env=preflight.made.environment,
        capture_output=True,
        text=True,
        timeout=10,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments", [["--rood"], ["--root"], ["doctor"]])
def test_a_bad_argument_is_a_sentence(preflight: Preflight, arguments: list[str]) -> None:
    done = subprocess.run(
        ["sh", str(preflight.program), *arguments], capture_output=True, text=True, timeout=10
    )
    assert done.returncode == 2
    assert arguments[0] in done.stderr


def test_what_the_committed_dockerfiles_write_is_read(preflight: Preflight) -> None:
    rendered = sorted((Path(__file__).parents[3] / "images").glob("*/Dockerfile"))
    assert rendered
    for dockerfile in rendered:
        text = dockerfile.read_text().split("<<'IMAGE_JSON'", 1)[1].split("\n", 1)[1]
        text = text.split("\nIMAGE_JSON\n", 1)[0]
        described = json.loads(text)
        preflight.made.describe_as(text)
        preflight.made.environment["SGLANG_USE_AITER_AR"] = "1"
        preflight.made.set_gpus(90010)
        (error, *warnings) = (
            line for line in preflight(expected=WRONG_GFX) if "Advisory" not in line
        )
        assert f"the image {described['cell']} is for {described['gfx']}." in error
        off = described["env"]["SGLANG_USE_AITER_AR"] == "0"
        assert [f"on ROCm {described['rocm']}" in line for line in warnings] == [True] * off


@pytest.mark.parametrize("size", ["09", "9" * 30, "-1"])
def test_a_size_that_is_no_number_ends_nothing(preflight: Preflight, size: str) -> None:
    preflight.made.set_shared_memory(f",size={size}k")
    assert preflight() == []
    assert preflight.report()["shared-memory"] == "not-run"


def test_a_pipe_among_the_kernels_files_is_not_waited_for(preflight: Preflight) -> None:
    for path in ("sys/class/kfd/kfd/topology/nodes/0/properties", "proc/mounts"):
        (preflight.made.root / path).unlink()
        os.mkfifo(preflight.made.root / path)
    assert preflight.report()["gpu-gfx"] == "pass"


def test_a_warning_of_the_image_does_not_act_on_the_terminal(preflight: Preflight) -> None:
    preflight.made.describe(warnings=[{"id": "a", "text": "b\x1b[2J\x07\x00c"}])
    (line,) = preflight()
    assert "warning: b\\u001b[2J\\u0007\\u0000c " in line
