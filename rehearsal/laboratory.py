#!/usr/bin/env python3
"""Runs a command where AMD's HIP runtimes are: `rehearsal/laboratory.py RELEASE COMMAND ...`.

The laboratory is a container of Debian 13 with AMD's runtimes in /opt/amd, the emulator beneath
them, a compiler, and this checkout, read-only, at /project. The tests of tests/emulation run in it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import site
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))

from rehearsal import bases, hip_packages, stand_ins  # noqa: E402
from rehearsal.engine import PrivateEngine  # noqa: E402
from rocm_images.engine.connect import Engine  # noqa: E402
from rocm_images.errors import EngineError, RocmImagesError  # noqa: E402
from rocm_images.recipe.labels import PREFIX  # noqa: E402
from rocm_images.servers import SERVERS  # noqa: E402
from rocm_images.smoke import emulator  # noqa: E402

CONTAINER_SECONDS = 24 * 3600
"""A container whose user was killed ends by itself after this time."""


@dataclass(frozen=True)
class Runtime:
    """One of AMD's runtimes in the laboratory; `pinned`: the packages that were measured."""

    release: str
    pinned: bool

    @property
    def folder(self) -> str:
        """Its libraries, with those that it needs."""
        return f"/opt/amd/{self.release}"

    @property
    def lib(self) -> str:
        """libamdhip64."""
        return f"{self.folder}/libamdhip64.so"

    @property
    def hiprtc(self) -> str:
        """libhiprtc."""
        return f"{self.folder}/libhiprtc.so"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to run it on emulated GPUs."""
        return {
            "LD_LIBRARY_PATH": f"{emulator.MOUNTED_AT}:{self.folder}",
            "GRAPH_PROBE_HIP_LIB": self.lib,
            "GRAPH_PROBE_HIPRTC_LIB": self.hiprtc,
        }


class Laboratory:
    """A running laboratory."""

    def __init__(self, container: str, environment: Mapping[str, str]) -> None:
        self._container = container
        self._environment = {**os.environ, **environment}

    def command(self, words: tuple[str, ...], env: Mapping[str, str]) -> list[str]:
        """The command line that runs `words` in /project there."""
        given = [f"--env={name}={value}" for name, value in env.items()]
        return ["docker", "exec", "--workdir=/project", *given, self._container, *words]

    def run(
        self, *words: str, env: Mapping[str, str] | None = None, timeout: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; its output is kept. One that does not end in time ends with 124."""
        limited = ("timeout", "--kill-after=5", f"{timeout:g}", *words)
        return subprocess.run(
            self.command(limited, env or {}),
            env=self._environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout + 60,
            check=False,
        )

    def show(self, *words: str, env: Mapping[str, str]) -> int:
        """Run a command whose output is this process's; returns its exit status."""
        return subprocess.run(
            self.command(words, env), env=self._environment, check=False
        ).returncode

    def runtime(self, release: str) -> Runtime:
        """The runtime of a release that hip_packages.json names.

        Raises:
            EngineError: Debian has its packages no more.
        """
        found = hip_packages.taken(bases.HIP_CACHE).get(release)
        if found is None:
            raise EngineError(
                f"AMD's HIP runtime {release} is not to be had: Debian dropped it; have "
                "rehearsal/hip_packages.json name packages that Debian has, and the tests measure "
                "that release"
            )
        return Runtime(release, found.pinned)


@contextlib.contextmanager
def laboratory(engine: Engine) -> Iterator[Laboratory]:
    """A laboratory on the engine of a rehearsal; its container ends with the block.

    Raises:
        EngineError: AMD's packages cannot be had.
        BuildFailed: its image does not build.
    """
    if not engine.address.startswith("unix://"):
        raise EngineError(f"the engine at {engine.address} cannot see {PROJECT}: use a local one")
    client = engine.client()
    try:
        with PrivateEngine().only_one():
            image = bases.make_laboratory(engine, client)
        with emulator.lent(client) as holder:
            container = client.containers.run(
                image,
                ["sleep", str(CONTAINER_SECONDS)],
                detach=True,
                auto_remove=True,
                network_mode="none",
                # The emulator shares memory between processes by /proc.
                cap_add=["SYS_PTRACE"],
                # ThreadSanitizer chooses its own addresses, which the default profile forbids.
                security_opt=["seccomp=unconfined"],
                stop_signal="SIGKILL",
                labels={PREFIX + "test": "laboratory"},
                environment={"PYTHONPATH": "/packages", "PYTHONDONTWRITEBYTECODE": "1"},
                volumes_from=[f"{holder}:ro"],
                volumes={
                    str(PROJECT): {"bind": "/project", "mode": "ro"},
                    # pytest is pure Python: this environment's copy will do.
                    site.getsitepackages()[0]: {"bind": "/packages", "mode": "ro"},
                },
            )
            try:
                yield Laboratory(str(container.id), engine.environment)
            finally:
                container.stop(timeout=0)
    finally:
        client.close()


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """What the caller says to the runtime, to the emulator and to a server is said there."""
    servers = [server.variables for server in SERVERS.values()]
    prefixes = ("HSA_STANDIN_", "DEBUG_", "AMD_LOG_", *servers)
    return {name: value for name, value in environment.items() if name.startswith(prefixes)}


def main(arguments: list[str]) -> int:
    """The command line; returns the command's exit status."""
    releases = tuple(hip_packages.pinned())
    parser = argparse.ArgumentParser(prog="rehearsal/laboratory.py", description=__doc__)
    parser.add_argument("release", choices=releases, help="whose HIP runtime")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to run, in /project")
    given = parser.parse_args(arguments)
    if not given.command:
        parser.error("name a command, such as images/rootfs/usr/local/bin/graph-probe run")
    try:
        with laboratory(stand_ins.Rehearsal().with_emulator()) as there:
            runtime = there.runtime(given.release)
            ours = passed_on(os.environ)
            return there.show(*given.command, env={**runtime.environment, **ours})
    except RocmImagesError as error:
        print(f"rehearsal/laboratory.py: {error}", file=sys.stderr)
        return int(error.exit_code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
