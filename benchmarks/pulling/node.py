"""A node that pulls: an engine of its own, emptied before each cold pull."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from benchmarks.engine import FOLDER
from benchmarks.measure import Measurement, measure
from rehearsal import debian_packages
from rehearsal.debian_packages import Distribution
from rehearsal.engine import PrivateEngine

# An engine that pulls has many threads, and takes seconds.
SAMPLE_SECONDS = 0.2
_DOCKER = ("docker.io", "docker-cli", "containerd")


def newer_packages(host: Distribution) -> Distribution:
    """The newest Docker Engine and containerd of Debian, with what else an engine needs.

    And pigz, which Debian recommends beside them: containerd then leaves gzip to unpigz.
    """
    packages = {
        suite: tuple(n for n in names if n not in _DOCKER) for suite, names in host.packages.items()
    }
    return Distribution(host.codename, {**packages, "sid": (*_DOCKER, "pigz")})


class Node:
    """One engine, by its packages; `name` is the folder of what it keeps."""

    def __init__(self, name: str, packages: Distribution, unpacked: Path | None = None) -> None:
        folder = FOLDER / "pulling" / name
        folder.mkdir(parents=True, exist_ok=True)
        if unpacked and not (folder / "packages").is_symlink():
            (folder / "packages").symlink_to(unpacked)
        self._engine = PrivateEngine(cache=folder, distribution=packages)
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
