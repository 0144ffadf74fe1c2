"""An engine for the benchmarks alone, whose build steps have a network of their own.

`docker buildx bake` cannot choose the host's network, as build.py does on the rehearsal's private
engine, which has no other; so here a bridge is made, and removed at the end. Its data folder is its
own too: a cold cache is made by emptying it, which must not take anything of the rehearsal's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from rehearsal import debian_packages
from rehearsal.engine import PrivateEngine
from rocm_images.errors import EngineError
from rocm_images.places import PROJECT

FOLDER = PROJECT / ".cache" / "benchmark"
BRIDGE = "rsi-bench0"
# Private addresses that no router should know: nothing of it leaves the machine.
BRIDGE_ADDRESS = "10.213.77.1/24"


@contextlib.contextmanager
def benchmark_engine(bridge: str) -> Iterator[dict[str, str]]:
    """Runs the engine; gives the environment that points docker, buildx and build.py at it.

    Args:
        bridge: BRIDGE, or "none": then build steps must use the host's network, as those do that
            make the stand-in base from the distribution's packages.

    Raises:
        EngineError: it cannot be started: not root, no `ip`, no packages.
    """
    # The unpacked packages are the rehearsal's.
    debian_packages.unpack(PrivateEngine().packages, debian_packages.distribution())
    FOLDER.mkdir(parents=True, exist_ok=True)
    packages = FOLDER / "packages"
    if not packages.is_symlink():
        packages.symlink_to(PrivateEngine().packages)
    engine = PrivateEngine(cache=FOLDER, bridge=bridge)
    engine.stop()
    # It remembers its last bridge, and refuses another network of that name.
    shutil.rmtree(engine.data / "network", ignore_errors=True)
    if bridge == BRIDGE:
        _make_bridge()
    try:
        engine.start()
        yield {**os.environ, **engine.environment(), "DOCKER_CONFIG": str(_with_plugin(packages))}
    finally:
        engine.stop()
        if bridge == BRIDGE:
            _ip("link", "delete", BRIDGE)


def _make_bridge() -> None:
    if shutil.which("ip") is None:
        raise EngineError("the benchmarks need the command ip: install the package iproute2")
    _ip("link", "delete", BRIDGE, check=False)
    _ip("link", "add", BRIDGE, "type", "bridge")
    _ip("address", "add", BRIDGE_ADDRESS, "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")


def _ip(*words: str, check: bool = True) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise EngineError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def _with_plugin(packages: Path) -> Path:
    """A configuration folder by which `docker buildx` finds the unpacked plugin."""
    folder = FOLDER / "docker-config"
    plugins = folder / "cli-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    root = packages.resolve() / "root"
    found = next(root.glob("usr/*/docker/cli-plugins/docker-buildx"), None)
    link = plugins / "docker-buildx"
    link.unlink(missing_ok=True)
    if found is None:
        raise EngineError(f"no docker-buildx below {root}")
    link.symlink_to(found)
    return folder
