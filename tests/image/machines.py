"""The machine that the tests of an image run on: a stand-in, an emulated one, or one with GPUs."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from rocm_images.engine.run_flags import FOR_GPUS, engine_options
from rocm_images.smoke import emulator
from rocm_images.smoke.evidence import Level

DEVICES = 2
"""How many GPUs a machine without a real one has, unless a test changes it."""
_PROGRAM_AT = "/opt/another-emulator"


@dataclass(frozen=True)
class Machine:
    """What a container is given, and what stands before a command that is to see GPUs."""

    level: Level
    gfx: str
    program: Path | None = None
    """That of another emulator than ours, on the machine of the engine."""

    @property
    def can_change(self) -> bool:
        """Whether a run can have other GPUs: not real ones, nor those of another's emulator."""
        return not self.level.reaches(Level.GPU) and not self.program

    def options(self, client: docker.DockerClient, stack: ExitStack) -> dict[str, Any]:
        """How the container gets its devices; what that takes ends with `stack`."""
        if self.program:
            folder = str(self.program.parent)
            return {"volumes": {folder: {"bind": _PROGRAM_AT, "mode": "ro"}}}
        if self.level is Level.EMULATED:
            return {"volumes_from": [f"{stack.enter_context(emulator.lent(client))}:ro"]}
        if self.level is Level.GPU:
            return engine_options(FOR_GPUS)
        return {}

    def before(
        self, *, gfx: str | None = None, devices: int = DEVICES, **variables: str
    ) -> list[str]:
        """The words before a command: its variables, and another emulator's program.

        `gfx` and `devices` change a machine that has no real GPU.
        """
        there = {**self._variables(gfx or self.gfx, devices), **variables}
        words = ["env", *(f"{name}={value}" for name, value in there.items())]
        return [*words, f"{_PROGRAM_AT}/{self.program.name}"] if self.program else words

    def _variables(self, gfx: str, devices: int) -> dict[str, str]:
        if self.level is Level.STAND_IN:
            return {"HIP_STANDIN_DEVICES": str(devices), "HIP_STANDIN_GFX": gfx}
        if self.level is Level.EMULATED and not self.program:
            return emulator.environment(gfx, devices)
        # What HIP compiles and keeps is not to lie where the image's own files do.
        return {"AMD_COMGR_CACHE_DIR": emulator.COMPILED_AT}
