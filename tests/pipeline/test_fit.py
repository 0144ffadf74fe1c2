"""An image says at its start what does not fit, and shares what does."""

from __future__ import annotations

import docker

from conftest import Answer, run_build_py, run_in


def test_the_entrypoint_warns_and_then_runs_the_command_unchanged(
    rehearsed: Answer, client: docker.DockerClient
) -> None:
    status, out, warnings = run_in(
        client,
        rehearsed.summary["sglang-942-rocm7.2.0"]["image_id"],
        ["sh", "-c", 'printf "%s|" "$@"; exit 7', "name", "a b", "$HOME", ""],
        environment={"SGLANG_USE_AITER_AR": "1"},
    )
    assert (status, out) == (7, "a b|$HOME||")
    assert "there is no /dev/kfd" in warnings
    assert "sgl-project/sglang#23581" in warnings
    assert "Use an image on ROCm 7.2.1 or later" in warnings


def test_both_archs_of_a_base_share_every_layer_up_to_deps(rolling: Answer) -> None:
    answer = run_build_py("sizes", "--rehearse", "--base", "7.2.0")
    assert answer.code == 0, answer.stderr
    for line in answer.stdout.splitlines():
        if line.startswith(("base ", "base image ", "deps ")):
            assert "  by all  " in line
    assert "sglang-942-rocm7.2.0, sglang-950-rocm7.2.0 share" in answer.stdout
