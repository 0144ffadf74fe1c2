"""What is tested on a GPU runs in a container as deployments get it."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import docker
import pytest

from rocm_images.engine.run_flags import (
    AS_DEPLOYED,
    FOR_GPUS,
    LEFT_OUT,
    MODEL_CACHE,
    MODEL_VOLUME,
    RunOptions,
    engine_options,
    flags_in_words,
    run_flags,
)
from rocm_images.smoke.evidence import Level

PROJECT = Path(__file__).resolve().parents[3]


def options_of_the_smoke_test(monkeypatch: pytest.MonkeyPatch, level: Level) -> dict[str, Any]:
    """What tests/image gives the container of the image under test."""
    path = PROJECT / "tests" / "image" / "machines.py"
    spec = importlib.util.spec_from_file_location("machines_of_image_tests", path)
    assert spec
    assert spec.loader
    machines = importlib.util.module_from_spec(spec)
    # Where dataclasses look for the module that they are in.
    monkeypatch.setitem(sys.modules, spec.name, machines)
    spec.loader.exec_module(machines)
    with ExitStack() as stack:
        # No client is asked for anything at this level.
        found: dict[str, Any] = machines.Machine(level, "gfx942").options(None, stack)
        return found


def test_the_smoke_test_on_a_gpu_gives_its_container_what_run_args_prints(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = options_of_the_smoke_test(monkeypatch, Level.GPU)
    assert found == engine_options(FOR_GPUS)
    assert found == {
        "devices": ["/dev/kfd", "/dev/dri"],
        "group_add": ["video"],
        "shm_size": "32g",
        "ulimits": [{"name": "memlock", "soft": -1, "hard": -1}],
        "security_opt": ["no-new-privileges:true"],
    }
    assert options_of_the_smoke_test(monkeypatch, Level.STATIC) == {}


def test_the_docker_sdk_takes_them() -> None:
    host = docker.types.HostConfig(version="1.44", **engine_options(FOR_GPUS))
    assert [device["PathOnHost"] for device in host["Devices"]] == ["/dev/kfd", "/dev/dri"]
    assert host["ShmSize"] == 32 << 30
    assert not host.keys() & {"IpcMode", "CapAdd", "Privileged", "PidMode"}


def test_a_deployment_differs_from_the_test_by_its_port_and_its_models_alone() -> None:
    deployed = run_flags()
    assert [flag.words for flag in deployed if flag not in FOR_GPUS] == [
        ("--publish", "127.0.0.1:30000:30000"),
        ("--volume", f"{MODEL_VOLUME}:{MODEL_CACHE}"),
        ("--env", "HF_TOKEN"),
    ]
    assert flags_in_words(FOR_GPUS) == AS_DEPLOYED


@pytest.mark.parametrize("flag", LEFT_OUT, ids=lambda flag: flag.words[0])
def test_nothing_that_is_left_out_is_given(flag: Any) -> None:
    assert flag.text not in AS_DEPLOYED


def test_a_flag_that_the_engine_would_not_be_given_is_refused() -> None:
    with pytest.raises(ValueError, match="--publish"):
        engine_options(run_flags(RunOptions()))
