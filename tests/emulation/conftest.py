"""The laboratory: AMD's own HIP runtimes on the emulator, in a container of Debian 13."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from rehearsal import bases, hip_packages, stand_ins
from rocm_images import emulator
from rocm_images.engine import Engine
from rocm_images.labels import PREFIX
from rocm_images.matrix_file import load

PROJECT = Path(__file__).resolve().parents[2]
CONTAINER_SECONDS = 3600


@dataclass(frozen=True)
class Runtime:
    """One of AMD's runtimes in the laboratory; `pinned`: the packages that were measured."""

    release: str
    pinned: bool

    @property
    def folder(self) -> str:
        return f"/opt/amd/{self.release}"

    @property
    def lib(self) -> str:
        return f"{self.folder}/libamdhip64.so"

    @property
    def hiprtc(self) -> str:
        return f"{self.folder}/libhiprtc.so"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to run it on two emulated GPUs."""
        return {
            "LD_LIBRARY_PATH": f"{emulator.MOUNTED_AT}:{self.folder}",
            "GRAPH_PROBE_HIP_LIB": self.lib,
            "GRAPH_PROBE_HIPRTC_LIB": self.hiprtc,
        }


class Laboratory:
    """Runs commands where AMD's runtimes are; the checkout is at /project, read-only."""

    def __init__(self, container: str, environment: Mapping[str, str]) -> None:
        self._container = container
        self._environment = environment

    def run(
        self, *words: str, env: Mapping[str, str] | None = None, timeout: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command in /project; a command that does not end in time ends with 124."""
        given = [f"--env={name}={value}" for name, value in (env or {}).items()]
        command = ["docker", "exec", "--workdir=/project", *given, self._container]
        command += ["timeout", "--kill-after=5", f"{timeout:g}", *words]
        return subprocess.run(
            command,
            env={**os.environ, **self._environment},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout + 60,
            check=False,
        )

    def runtime(self, release: str) -> Runtime:
        return Runtime(release, hip_packages.taken(bases.HIP_CACHE)[release].pinned)


@pytest.fixture(scope="session")
def running_engine() -> Engine:
    """The engine of a rehearsal, with the emulator; it outlives these tests."""
    matrix = load(PROJECT / "matrix.yaml")
    if stand_ins.find_engine() is None:
        # In a process of its own, which the engine outlives.
        subprocess.run([sys.executable, PROJECT / "rehearsal" / "engine.py", "start"], check=True)
    return stand_ins.prepare(matrix, ())


@pytest.fixture(scope="session")
def client(running_engine: Engine) -> Iterator[docker.DockerClient]:
    client = running_engine.client()
    yield client
    client.close()


@pytest.fixture(scope="session")
def laboratory(running_engine: Engine, client: docker.DockerClient) -> Iterator[Laboratory]:
    image = bases.make_laboratory(running_engine, client)
    with emulator.lent(client) as holder:
        container = client.containers.run(
            image,
            ["sleep", str(CONTAINER_SECONDS)],
            detach=True,
            auto_remove=True,
            network_mode="none",
            # The emulator shares memory between processes by /proc.
            cap_add=["SYS_PTRACE"],
            stop_signal="SIGKILL",
            labels={PREFIX + "test": "emulation"},
            environment={
                "PYTHONPATH": "/packages",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            volumes_from=[f"{holder}:ro"],
            volumes={
                str(PROJECT): {"bind": "/project", "mode": "ro"},
                # pytest and hypothesis are pure Python: this environment's copies will do.
                site.getsitepackages()[0]: {"bind": "/packages", "mode": "ro"},
            },
        )
        try:
            yield Laboratory(str(container.id), running_engine.environment)
        finally:
            container.stop(timeout=0)
