"""docker and docker compose take what is rendered for them."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import shlex
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from conftest import Answer, run_in
from rehearsal.unpacked_programs import compose
from rocm_images.deploying.manifests import Deployment, Kind, rendered
from rocm_images.engine.connect import Engine
from rocm_images.engine.run_flags import FOR_GPUS, engine_options

PROJECT = Path(__file__).resolve().parent.parent.parent


def _unlike_deployed() -> Callable[..., list[str]]:
    spec = importlib.util.spec_from_file_location(
        "confinement_of_image_tests", PROJECT / "tests/image/confinement.py"
    )
    assert spec
    assert spec.loader
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found.unlike_deployed  # type: ignore[no-any-return]


unlike_deployed = _unlike_deployed()
IMAGE = "registry.example.org/sglang-rocm@sha256:" + "ab" * 32
EMPTY = "rocm-serving-images-test:empty"


@pytest.fixture(scope="module")
def docker_compose() -> Path:
    return compose()


def config(program: Path, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, "--file", path, "config", "--format", "json"],
        env={**os.environ, "HF_TOKEN": "from the shell"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("model", ["org/model", "$HOME/${x}", "it's: a #model", 'a "quoted" one'])
def test_compose_reads_its_file_as_it_is_meant(
    docker_compose: Path, tmp_path: Path, model: str
) -> None:
    path = tmp_path / "compose.yaml"
    path.write_text(rendered(Deployment(IMAGE, model, 4, name="no"), Kind.COMPOSE))
    done = config(docker_compose, path)
    assert (done.returncode, done.stderr) == (0, "")
    service: dict[str, Any] = json.loads(done.stdout)["services"]["no"]
    assert service["image"] == IMAGE
    # What it prints can be read again, so a dollar sign is doubled.
    assert service["command"][4] == model.replace("$", "$$")
    assert service["command"][5:7] == ["--tp", "4"]
    assert [device["source"] for device in service["devices"]] == ["/dev/kfd", "/dev/dri"]
    assert int(service["shm_size"]) == 32 << 30
    assert service["environment"] == {"HF_TOKEN": "from the shell"}
    assert json.loads(done.stdout)["volumes"]["models"] == {"name": "serving-models"}
    assert service["ports"][0]["host_ip"] == "127.0.0.1"
    assert not service.keys() & {"privileged", "cap_add", "ipc", "network_mode"}


def test_compose_would_refuse_a_key_that_is_misspelt(docker_compose: Path, tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    text = rendered(Deployment(IMAGE, "org/model", 4), Kind.COMPOSE)
    path.write_text(text.replace("shm_size:", "shared_memory:"))
    done = config(docker_compose, path)
    assert done.returncode != 0
    assert "shared_memory" in done.stderr


@pytest.fixture
def empty_image(running_engine: Engine) -> Iterator[str]:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("empty"))
    client = running_engine.client()
    repository, tag = EMPTY.split(":")
    client.api.import_image_from_data(content.getvalue(), repository=repository, tag=tag)
    yield EMPTY
    client.images.remove(EMPTY, force=True)
    client.close()


def created_by_docker(engine: Engine, words: list[str]) -> str:
    done = subprocess.run(
        ["docker", "create", *words],
        env={**os.environ, **engine.environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_smoke_test_on_a_gpu_asks_the_engine_for_what_run_args_prints(
    running_engine: Engine, empty_image: str
) -> None:
    """Creates both containers: to start them takes the devices."""
    printed = subprocess.run(
        # A volume would be left on the engine, where a user may have one of that name.
        [sys.executable, PROJECT / "build.py", "run-args", empty_image, "--model-cache", "/tmp"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    client = running_engine.client()
    found = []
    try:
        found += [
            client.containers.get(created_by_docker(running_engine, [*shlex.split(printed), "x"]))
        ]
        found += [client.containers.create(empty_image, ["x"], **engine_options(FOR_GPUS))]
        deployed, tested = ({**one.attrs["HostConfig"]} for one in found)
    finally:
        for container in found:
            container.remove(force=True)
        client.close()
    # The test reaches no network, and is reached from none.
    assert deployed.pop("PortBindings") != tested.pop("PortBindings")
    # Nor does it download a model.
    assert deployed.pop("Binds") == ["/tmp:/root/.cache/huggingface"]
    assert not tested.pop("Binds")
    # docker's own console; and what is nothing has two spellings.
    different = {key for key in deployed if (deployed[key] or None) != (tested[key] or None)}
    assert different <= {"ConsoleSize"}, (deployed, tested)
    assert tested["Devices"]


# Without what this machine may not have: devices, and the right to raise a limit.
DEPLOYED = {
    key: value
    for key, value in engine_options(FOR_GPUS).items()
    if key not in ("devices", "ulimits")
}
LIMIT = "it may not lock all memory that it wants"
MORE: dict[str, tuple[dict[str, Any], list[str]]] = {
    "as deployed": ({}, []),
    "no seccomp": (
        {"security_opt": [*DEPLOYED["security_opt"], "seccomp=unconfined"]},
        ["no profile of seccomp filters its system calls"],
    ),
    "new privileges": ({"security_opt": []}, ["its processes can get more privileges"]),
    "for debuggers": ({"cap_add": ["SYS_PTRACE"]}, ["it has SYS_PTRACE"]),
    "privileged": (
        {"privileged": True},
        [
            "no profile of seccomp filters its system calls",
            *("it has SYS_PTRACE", "it has SYS_ADMIN", "it has SYS_NICE"),
        ],
    ),
    "no shared memory": (
        {"shm_size": "64m"},
        ["its /dev/shm has 67108864 bytes: the host's, or too few"],
    ),
}


@pytest.mark.parametrize(("more", "said"), MORE.values(), ids=MORE.keys())
def test_a_container_that_is_given_more_is_told_from_one_of_a_deployment(
    rehearsed: Answer, client: docker.DockerClient, more: dict[str, Any], said: list[str]
) -> None:
    """What tests/image asks on a GPU, asked without one."""
    image = rehearsed.summary["sglang-942-rocm7.2.2"]["image_id"]
    sizes = "df --block-size=1 --output=size /dev/shm | tail -n 1"
    asked = f"cat /proc/1/status; echo ----; cat /proc/1/limits; echo ----; {sizes}"
    given = {**DEPLOYED, **more, "entrypoint": ["sh", "-c"]}
    status, out, err = run_in(client, image, [asked], **given)
    assert (status, err) == (0, "")
    assert [one for one in unlike_deployed(*out.split("----\n")) if one != LIMIT] == said


def test_a_limit_of_locked_memory_is_told_from_none() -> None:
    status = "Seccomp:\t2\nNoNewPrivs:\t1\nCapBnd:\t00000000a80425fb\n"
    line = "Max locked memory         {:20} {:20} bytes     \n"
    size = str(32 << 30)
    assert unlike_deployed(status, line.format("unlimited", "unlimited"), size) == []
    for soft, hard in (("65536", "unlimited"), ("65536", "65536")):
        assert unlike_deployed(status, line.format(soft, hard), size) == [LIMIT]


def test_docker_takes_every_flag(running_engine: Engine, empty_image: str) -> None:
    """Creates the container: to start it takes the devices."""
    options = ["--numa", "--render-group", "993", "--model-cache", "/tmp"]
    printed = subprocess.run(
        [sys.executable, PROJECT / "build.py", "run-args", empty_image, *options],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    client = running_engine.client()
    words = ["--rm", *shlex.split(printed), "python3"]
    container = client.containers.get(created_by_docker(running_engine, words))
    try:
        host = container.attrs["HostConfig"]
        assert [d["PathOnHost"] for d in host["Devices"]] == ["/dev/kfd", "/dev/dri"]
        assert host["GroupAdd"] == ["video", "993"]
        assert host["ShmSize"] == 32 << 30
        assert [name.removeprefix("CAP_") for name in host["CapAdd"]] == ["SYS_NICE"]
        assert host["Privileged"] is False
        assert [(u["Name"], u["Hard"]) for u in host["Ulimits"]] == [("memlock", -1)]
        assert host["Binds"] == ["/tmp:/root/.cache/huggingface"]
        (bound,) = host["PortBindings"]["30000/tcp"]
        assert bound == {"HostIp": "127.0.0.1", "HostPort": "30000"}
    finally:
        container.remove(force=True)
        client.close()
