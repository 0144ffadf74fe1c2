"""What rocm-preflight says of a machine, each message both said and not said."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from image_servers import SERVERS
from preflight_runs import WRONG_GFX, Preflight

BUG = {"here": True, "free_from": "7.2.1", "reference": "sgl-project/sglang#23581"}


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
    ("version", "environment", "lines"),
    [
        ("0.27.1", {"VLLM_ROCM_USE_AITER": "1"}, 1),
        ("0.27.1", {"VLLM_ROCM_USE_AITER": "true", "VLLM_ROCM_USE_AITER_CUSTOM_AR": "1"}, 1),
        ("0.27.1", {"VLLM_ROCM_USE_AITER": "1", "VLLM_ROCM_USE_AITER_CUSTOM_AR": "0"}, 0),
        ("0.27.1", {}, 0),
        ("0.27.1", {"VLLM_ROCM_USE_AITER": "0", "VLLM_ROCM_USE_AITER_CUSTOM_AR": "1"}, 0),
        ("0.18.1", {"VLLM_ROCM_USE_AITER": "1", "VLLM_ROCM_USE_AITER_CUSTOM_AR": "1"}, 0),
    ],
)
def test_of_vllm_all_that_chooses_its_all_reduce_is_read(
    preflight: Preflight, version: str, environment: dict[str, str], lines: int
) -> None:
    preflight.made.describe(server="vllm", versions={"vllm": version}, capture_bug=BUG)
    preflight.made.environment |= environment
    said = preflight()
    assert len(said) == lines
    assert preflight.report()["all-reduce"] == ("warn" if lines else "pass")
    assert all("VLLM_ROCM_USE_AITER_CUSTOM_AR" in line for line in said)


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
    preflight.made.environment["PATH"] = "/proc/absent"
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
        variable = SERVERS[described["server"]].all_reduce
        asked = {one.name: "1" for one in (variable.switch, *variable.requires)}
        preflight.made.environment |= asked
        preflight.made.set_gpus(90010)
        (error, *warnings) = (
            line for line in preflight(expected=WRONG_GFX) if "Advisory" not in line
        )
        assert f"the image {described['cell']} is for {described['gfx']}." in error
        off = described["env"].get(variable.name) == "0"
        assert [f"{variable.name} is 1, " in line for line in warnings] == [True] * off
        said = f", on ROCm {described['rocm']}: "
        assert [said in line for line in warnings] == [described["capture_bug"]["here"]] * off


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
