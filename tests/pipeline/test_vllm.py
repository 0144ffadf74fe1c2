"""The images of vLLM on two bases, built and tested as SGLang's are."""

from __future__ import annotations

import json

import docker
import pytest
from four_cells import MATRIX

from conftest import PROJECT, Answer, run_build_py, run_in
from rehearsal.bases import base_reference
from rocm_images.recipe.labels import HIP_RUNTIME, IMITATION, PREFIX

OLDER, NEWER = "vllm-942-rocm7.2.0", "vllm-942-rocm7.2.2"
COMMAND = ("--server", "vllm", "--arch", "942", "--rehearse")


@pytest.fixture(scope="module")
def built(rehearsed: Answer) -> Answer:
    """After SGLang's, on whose bases they stand."""
    answer = run_build_py(*COMMAND)
    assert answer.code == 0, answer.stdout + answer.stderr
    return answer


def test_one_command_ends_with_two_tested_images(
    built: Answer, client: docker.DockerClient
) -> None:
    assert list(built.summary) == [OLDER, NEWER]
    for report in built.summary.values():
        assert report["result"] in ("done", "up to date")
        passed, _, total, *_ = report["smoke"].split()
        assert passed == total != "0"
    assert set(client.images.get(built.summary[NEWER]["image_id"]).tags) >= {
        "vllm-rocm:v0.18.1-rocm722-mi30x-rehearsal",
        "vllm-rocm:v0.18.1-mi30x-rehearsal",
    }
    again = run_build_py(*COMMAND)
    assert {report["result"] for report in again.summary.values()} == {"up to date"}


def test_each_was_tested_on_the_runtime_that_sglang_s_was(
    rehearsed: Answer, built: Answer, client: docker.DockerClient
) -> None:
    def level(report: dict[str, str]) -> tuple[str, str]:
        image = client.images.get(report["image_id"])
        name = f"{report['image_id'].removeprefix('sha256:')}.json"
        evidence = json.loads((PROJECT / "build" / "evidence" / name).read_text())
        assert evidence["passed"] is True
        return image.labels[HIP_RUNTIME], evidence["level"]

    runtime, tested = level(built.summary[NEWER])
    assert tested == ("stand-in" if runtime == IMITATION else "emulated")
    assert level(built.summary[OLDER]) == (IMITATION, "stand-in")
    for cell, report in built.summary.items():
        assert level(report) == level(rehearsed.summary[cell.replace("vllm", "sglang")])


def test_the_environment_is_vllm_s_and_nothing_of_it_is_sglang_s(
    built: Answer, client: docker.DockerClient
) -> None:
    for cell, report in built.summary.items():
        image = client.images.get(report["image_id"])
        given = image.attrs["Config"]["Env"]
        env = dict(entry.split("=", 1) for entry in given)
        assert env["VLLM_ROCM_USE_AITER"] == "0"
        # This release does not read it.
        assert "VLLM_ROCM_USE_AITER_CUSTOM_AR" not in env
        assert "PYTORCH_NVML_BASED_CUDA_CHECK" not in env
        assert (env["SAFETENSORS_FAST_GPU"], env["TOKENIZERS_PARALLELISM"]) == ("1", "false")
        assert env["HSA_NO_SCRATCH_RECLAIM"] == "1"
        assert not [name for name in env if name.startswith("SGLANG")]
        assert image.labels[PREFIX + "all-reduce"] == "vllm", cell
        assert image.labels[PREFIX + "vllm"] == "0.18.1"
        assert image.labels[PREFIX + "flash-attention"].startswith("0e60e394")


def test_its_kernels_are_for_one_gpu_and_what_only_its_build_needed_is_not_there(
    built: Answer, client: docker.DockerClient
) -> None:
    image = built.summary[NEWER]["image_id"]
    status, said, errors = run_in(client, image, ["image-doctor", "--json"])
    assert status == 0, said + errors
    checks = {check["name"]: check for check in json.loads(said)["checks"]}
    assert "fail" not in {check["status"] for check in checks.values()}
    for name in ("torch", "no-cuda", "triton", "versions", "pip-check", "prebuilt-kernels"):
        assert checks[name]["status"] == "pass", checks[name]
    assert checks["code-objects"]["status"] == "pass"
    assert "gfx942" in checks["code-objects"]["found"]
    for package in ("vllm 0.18.1", "amd-aiter 0.1.10.post2", "flash-attn 2.8.3", "triton 3.7.0"):
        assert package in checks["versions"]["found"]
    script = (
        "cd /opt/venv/lib/python3*/site-packages && ls vllm/*.so flash_attn_2_cuda*.so"
        " vllm/third_party/triton_kernels/__init__.py && find / -xdev -iname '*sglang*'"
        " -not -path '/opt/rocm-images/image_servers/*'"
        " && find /src /opt/cargo /opt/venv/bin/cmake -maxdepth 0 2> /dev/null || true"
    )
    status, said, errors = run_in(client, image, ["bash", "-c", script])
    assert status == 0, errors
    found = [line.split(".")[0] for line in said.splitlines()]
    assert sorted(found) == [
        *("flash_attn_2_cuda", "vllm/_C", "vllm/_moe_C", "vllm/_rocm_C"),
        "vllm/third_party/triton_kernels/__init__",
    ]


def test_its_layers_up_to_the_base_are_those_of_sglang_s(
    rehearsed: Answer, built: Answer, client: docker.DockerClient
) -> None:
    def layers(report: dict[str, str]) -> list[str]:
        found: list[str] = client.images.get(report["image_id"]).attrs["RootFS"]["Layers"]
        return found

    for cell, report in built.summary.items():
        ours, theirs = layers(report), layers(rehearsed.summary[cell.replace("vllm", "sglang")])
        dockerfile = (PROJECT / "images" / cell / "Dockerfile").read_text()
        steps = dockerfile.partition(" AS base\n")[2].partition("\nFROM ")[0].count("\nRUN ")
        base = base_reference(MATRIX, cell.rpartition("rocm")[2])
        below = len(client.images.get(base).attrs["RootFS"]["Layers"])
        assert steps > 2
        assert ours[: below + steps] == theirs[: below + steps]
        assert ours != theirs
