"""A node that pulls: an engine of its own, emptied before each cold pull."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine import FOLDER
from benchmarks.measure import Measurement, measure
from rehearsal import debian_packages
from rehearsal.debian_packages import Distribution
from rehearsal.engine import PrivateEngine

# An engine that pulls has many threads, and takes seconds.
SAMPLE_SECONDS = 0.2
_DOCKER = ("docker.io", "docker-cli", "containerd")
_PIGZ = ("pigz", "libzopfli1")


def newer_packages(host: Distribution) -> Distribution:
    """The newest Docker Engine and containerd of Debian, with what else an engine needs.

    And pigz, which Debian recommends beside them: containerd then leaves gzip to unpigz.
    """
    packages = {
        suite: tuple(name for name in names if name not in _DOCKER)
        for suite, names in host.packages.items()
    }
    # Of unstable, it could need a newer C library than the host's.
    own = host.codename if host.codename in packages else ""
    packages[own] = (*packages[own], *_PIGZ)
    return Distribution(host.codename, {**packages, "sid": _DOCKER})


@dataclass(frozen=True)
class _Engine(PrivateEngine):
    """One whose containerd finds what unpigz needs, where there is one."""

    def environment(self) -> dict[str, str]:
        """See PrivateEngine."""
        found = super().environment()
        if (self.packages / "root" / "usr" / "bin" / "unpigz").exists():
            libraries = self.packages.glob("root/usr/lib/*-linux-gnu")
            found["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, libraries))
        return found


class Node:
    """One engine, by its packages; `name` is the folder of what it keeps."""

    def __init__(self, name: str, packages: Distribution, unpacked: Path | None = None) -> None:
        folder = FOLDER / "pulling" / name
        folder.mkdir(parents=True, exist_ok=True)
        if unpacked and not (folder / "packages").is_symlink():
            (folder / "packages").symlink_to(unpacked)
        self._engine = _Engine(cache=folder, distribution=packages)
        debian_packages.unpack(self._engine.packages, packages)

    @property
    def environment(self) -> Mapping[str, str]:
        """Of a process that is to talk to it."""
        return {**os.environ, **self._engine.environment()}

    def empty(self) -> None:
        """Have it run with no image and no layer."""
        self.stop()
        self._engine.start()

    def stop(self) -> None:
        """Stop it and remove all that it pulled."""
        self._engine.stop()
        shutil.rmtree(self._engine.data, ignore_errors=True)

    def pull(self, reference: str) -> Measurement:
        """Pull an image, and unpack it: the memory is the client's and the engine's together.

        Raises:
            CommandFailed: it does not pull.
        """
        words = ["docker", "pull", "--quiet", reference]
        # What was removed before is still on its way to the disk.
        os.sync()
        beside = self._engine.pids()
        return measure(words, FOLDER, self.environment, beside, SAMPLE_SECONDS)
