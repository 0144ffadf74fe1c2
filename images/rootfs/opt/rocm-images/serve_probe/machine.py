"""What the server will run on: the GPUs that the runtime sees, and the versions that are installed.

The runtime is asked by a child of the graph probe, so that this process never loads it.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from graph_probe import library
from graph_probe.device import Device, RuntimeFacts, check_gfx
from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.roles import Lead
from graph_probe.supervisor import Ended, Supervisor
from image_servers import Server

_PACKAGES = ("torch", "triton", "transformers")
_SECONDS = 120.0


@dataclass(frozen=True)
class Machine:
    """The runtime, its devices, and the versions of the packages that serve."""

    runtime: RuntimeFacts
    devices: tuple[Device, ...]
    versions: dict[str, str]


def describe(backend: str, gfx: str | None, server: Server) -> Machine:
    """Raises ProbeError: no runtime, no real GPU, the wrong gfx, or no server to start."""
    runtime, devices = _ask(backend)
    if runtime.is_stand_in:
        raise ProbeError(
            ExitCode.NO_RUNTIME_OR_DEVICE,
            "Not run: no GPU. The runtime here is the HIP stand-in, on which no server can run.",
        )
    if runtime.emulator:
        raise ProbeError(
            ExitCode.NO_RUNTIME_OR_DEVICE,
            "Not run: no GPU. The HIP runtime here is on emulated GPUs: no server runs there.",
        )
    check_gfx(list(devices), gfx)
    if not _has_launcher(server):
        raise ProbeError(
            ExitCode.NO_SERVER,
            f"There is no {server.launcher.replace('.', '/')}.py in this Python: install "
            f"{server.title}, or run this in an image that has it.",
        )
    return Machine(runtime, devices, _versions(server))


def declared_all_reduce(
    machine: Machine, server: Server, environment: Mapping[str, str]
) -> str | None:
    """Whose all-reduce a server's environment selects; None on CUDA, where no variable does."""
    if machine.runtime.backend != "hip":
        return None
    version = machine.versions.get(server.distributions[server.name])
    return server.all_reduce.chosen(environment, version).name


def _ask(backend: str) -> tuple[RuntimeFacts, tuple[Device, ...]]:
    with (
        tempfile.TemporaryDirectory(prefix="serve-probe-") as folder,
        Supervisor(Path(folder), _SECONDS, os.environ) as supervisor,
    ):
        specification: Lead = {
            "role": "lead",
            "backend": backend,
            "torch": library.torch_folder(),
            "gfx": None,
            "folder": folder,
            "devices": None,
            "decode": None,
        }
        supervisor.start("the runtime", specification)
        for child, message in supervisor.messages():
            if isinstance(message, Ended):
                raise ProbeError(message.code, message.sentence(child))
            if message["kind"] == "error":
                raise ProbeError(ExitCode(message["code"]), message["sentence"])
            if message["kind"] == "runtime":
                devices = tuple(Device(*device) for device in message["devices"])
                return RuntimeFacts.of_message(message["runtime"]), devices
    raise ProbeError(ExitCode.PROBE_DEFECT, "The process for the runtime ended without a word.")


def _has_launcher(server: Server) -> bool:
    """Whether the module that is run exists, found without importing anything."""
    package, *below = server.launcher.split(".")
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return False
    places = found.submodule_search_locations or [] if found else []
    return any(Path(place, *below).with_suffix(".py").is_file() for place in places)


def _versions(server: Server) -> dict[str, str]:
    found = {}
    for name in (*server.distributions.values(), *_PACKAGES):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
