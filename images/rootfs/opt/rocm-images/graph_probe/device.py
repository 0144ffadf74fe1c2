"""What the runtime says about itself: its version, its devices, and what lies beneath it."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from ctypes import byref, c_int
from typing import Any, NamedTuple

from graph_probe.emulator import Emulator, mapped_emulator, sha256_of
from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.image import known_facts
from graph_probe.runtime import SUCCESS, Runtime, error_name
from image_facts import hip_builds
from image_facts.hip_builds import HipBuild

STAND_IN_PREFIX = "HIP stand-in"

_CUDA_COMPUTE_CAPABILITY = (75, 76)


class Device(NamedTuple):
    """One device; `target` is what kernels are compiled for, `gfx` the part that names the GPU."""

    ordinal: int
    name: str
    gfx: str
    target: str


class RuntimeFacts(NamedTuple):
    """The runtime that is really mapped; `sha256` is its file's.

    `is_stand_in`: it is the imitation of HIP. `emulator`: it is the image's own, on emulated GPUs.
    """

    backend: str
    path: str
    version: int
    version_text: str
    is_stand_in: bool
    sha256: str = ""
    emulator: Emulator | None = None

    @classmethod
    def of_message(cls, values: Sequence[Any]) -> RuntimeFacts:
        """What a child process sent: it came as nested lists."""
        facts = cls(*values)
        emulator = Emulator(*facts.emulator) if facts.emulator else None
        return facts._replace(emulator=emulator)

    def as_json(self) -> dict[str, object]:
        emulator = self.emulator._asdict() if self.emulator else None
        return {**self._asdict(), "emulator": emulator}

    @property
    def label(self) -> str:
        """What is to be said wherever the runtime is named: that there is no GPU, and why."""
        if self.emulator:
            return " (on emulated GPUs)"
        return " (a stand-in, no GPU)" if self.is_stand_in else ""


def version_text(backend: str, version: int, builds: Sequence[HipBuild]) -> str:
    """`version` of RuntimeGetVersion for people, with the ROCm releases of a HIP that is known."""
    if backend == "cuda":
        return f"CUDA {version // 1000}.{version % 1000 // 10}"
    major, minor, build = hip = hip_builds.of_integer(version)
    known = hip_builds.find(builds, hip)
    release = known.text if known else f"ROCm {major}.{minor}, patch release unknown"
    return f"HIP {major}.{minor}.{build}, {release}"


def find_devices(runtime: Runtime) -> list[Device]:
    """Every visible device. Raises ProbeError NO_RUNTIME_OR_DEVICE where there is none."""
    count = c_int(0)
    status = runtime.status("GetDeviceCount", byref(count))
    if status != SUCCESS or count.value == 0:
        found = error_name(status) if status != SUCCESS else "no device"
        hint = " In a container, pass --device /dev/kfd --device /dev/dri and their groups."
        raise ProbeError(
            ExitCode.NO_RUNTIME_OR_DEVICE,
            f"{runtime.libraries.runtime} sees no GPU: {found}." + (hint if runtime.hip else ""),
        )
    if runtime.has("Init"):
        runtime.check("Init", 0)
    return [_device(runtime, index) for index in range(count.value)]


def runtime_facts(runtime: Runtime, devices: list[Device]) -> RuntimeFacts:
    version = c_int(0)
    runtime.check("RuntimeGetVersion", byref(version))
    libraries = runtime.libraries
    emulator = mapped_emulator()
    return RuntimeFacts(
        libraries.backend,
        libraries.runtime,
        version.value,
        version_text(libraries.backend, version.value, known_facts(os.environ).hip_builds),
        not emulator and any(device.name.startswith(STAND_IN_PREFIX) for device in devices),
        sha256_of(libraries.runtime),
        emulator,
    )


def check_gfx(devices: list[Device], expected: str | None) -> None:
    """Raises ProbeError WRONG_GFX for the first device that is not of the expected gfx."""
    for device in devices if expected else []:
        if device.gfx != expected:
            raise ProbeError(
                ExitCode.WRONG_GFX,
                f"Device {device.ordinal} ({device.name}) is {device.gfx}, but this image is built "
                f"for {expected}. Pull the image of the same version for {device.gfx}.",
            )


def _device(runtime: Runtime, index: int) -> Device:
    name = ctypes.create_string_buffer(256)
    runtime.check("DeviceGetName", name, 256, index)
    target = _hip_target(runtime, index) if runtime.hip else _cuda_target(runtime, index)
    return Device(index, name.value.decode(errors="replace"), target.partition(":")[0], target)


def _hip_target(runtime: Runtime, index: int) -> str:
    """gcnArchName, found by its content: its offset in the structure differs between versions."""
    buffer = ctypes.create_string_buffer(16384)
    current = runtime.has("DeviceProperties")
    runtime.check("DeviceProperties" if current else "DevicePropertiesBefore6", buffer, index)
    past_name = 256
    start = buffer.raw.find(b"gfx", past_name)
    if start < 0:
        raise ProbeError(
            ExitCode.NO_RUNTIME_OR_DEVICE,
            f"The properties of device {index} name no gfx; the driver may be half installed.",
        )
    return buffer.raw[start : buffer.raw.index(b"\0", start)].decode()


def _cuda_target(runtime: Runtime, index: int) -> str:
    parts = []
    for attribute in _CUDA_COMPUTE_CAPABILITY:
        value = c_int(0)
        runtime.check("DeviceGetAttribute", byref(value), attribute, index)
        parts.append(str(value.value))
    return "sm_" + "".join(parts)
