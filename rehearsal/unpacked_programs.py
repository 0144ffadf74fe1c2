"""The programs that only the tests need, unpacked from the distribution's packages as the engine's.

A browser without a window for the catalogue's page, docker compose for the compose file, rsync for
what stands in for GitLab, and debsecan as a channel's scanner. What a package needs and this host
has not is unpacked beside it, so that a bare system is enough.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rehearsal.debian_packages import Distribution, distribution, unpack
from rocm_images.errors import EngineError
from rocm_images.files import write_whole

PROJECT = Path(__file__).resolve().parent.parent
CACHE = PROJECT / ".cache" / "test-programs"
# Ubuntu has Chromium as a snap only, which cannot be unpacked; GitHub's machines have Chrome.
INSTALLED_BROWSERS = ("google-chrome", "chromium", "chromium-headless-shell")
_COMPOSE: dict[str, dict[str, tuple[str, ...]]] = {
    # Debian 12 has only compose 1, which is written in Python and reads older files.
    "bookworm": {"trixie": ("docker-compose",)},
    "trixie": {"": ("docker-compose",)},
    "jammy": {"": ("docker-compose-v2",)},
    "noble": {"": ("docker-compose-v2",)},
}


@dataclass(frozen=True)
class UnpackedProgram:
    """A program, and what its process needs in its environment."""

    path: Path
    environment: Mapping[str, str]


def browser() -> UnpackedProgram:
    """A Chromium that needs no display.

    Raises:
        EngineError: this host has none, and none can be unpacked.
    """
    host = distribution()
    if not host.is_debian:
        for name in INSTALLED_BROWSERS:
            if found := shutil.which(name):
                return UnpackedProgram(Path(found), {})
        raise EngineError(
            f"none of {', '.join(INSTALLED_BROWSERS)} is installed, and on {host.codename} there "
            "is no package to unpack: install one of them"
        )
    # It looks for the data files of chromium-common beside itself, not where the host has them.
    names = ("chromium-headless-shell", "chromium-common")
    packages = Distribution(host.codename, {"": names})
    root = unpacked("browser", packages, with_dependencies=True)
    # Some packages of Debian 12 still have their libraries in /lib.
    folders = ("usr/lib/*-linux-gnu", "lib/*-linux-gnu")
    libraries = [str(path) for folder in folders for path in root.glob(folder)]
    libraries += [f"{path}/{name}" for path in libraries for name in ("nss", "pulseaudio")]
    environment = {
        "LD_LIBRARY_PATH": os.pathsep.join(libraries),
        "FONTCONFIG_FILE": str(_fonts(root)),
    }
    return UnpackedProgram(root / "usr/lib/chromium/chromium-headless-shell", environment)


def compose() -> Path:
    """docker compose as a program of its own.

    Raises:
        EngineError: it cannot be unpacked.
    """
    host = distribution()
    root = unpacked("compose", Distribution(host.codename, _COMPOSE[host.codename]))
    for place in ("usr/libexec/docker/cli-plugins", "usr/lib/docker/cli-plugins"):
        if (found := root / place / "docker-compose").is_file():
            return found
    raise EngineError(f"the package of docker compose has no plugin below {root}")


def rsync() -> UnpackedProgram:
    """rsync, the host's own where it is installed.

    Raises:
        EngineError: it is not, and cannot be unpacked.
    """
    if found := shutil.which("rsync"):
        return UnpackedProgram(Path(found), {})
    packages = Distribution(distribution().codename, {"": ("rsync",)})
    root = unpacked("rsync", packages, with_dependencies=True)
    libraries = [str(path) for path in root.glob("usr/lib/*-linux-gnu")]
    return UnpackedProgram(root / "usr/bin/rsync", {"LD_LIBRARY_PATH": os.pathsep.join(libraries)})


def debsecan() -> tuple[str, ...]:
    """The words that run debsecan, which is written for the distribution's own Python.

    Raises:
        EngineError: it cannot be unpacked.
    """
    packages = Distribution(distribution().codename, {"": ("debsecan",)})
    programs = (root := unpacked("debsecan", packages, with_dependencies=True)) / "usr/bin"
    own = programs / "python3"
    return (
        "env",
        f"PYTHONPATH={root / 'usr/lib/python3/dist-packages'}",
        f"LD_LIBRARY_PATH={os.pathsep.join(map(str, root.glob('usr/lib/*-linux-gnu')))}",
        str(own if own.exists() else "/usr/bin/python3"),
        str(programs / "debsecan"),
    )


def unpacked(name: str, packages: Distribution, *, with_dependencies: bool = False) -> Path:
    """The root of what packages hold, unpacked once below this name.

    Raises:
        EngineError: see `debian_packages.unpack`.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return unpack(CACHE / name, packages, programs=(), with_dependencies=with_dependencies)


def _fonts(root: Path) -> Path:
    """A configuration of fontconfig that finds fonts both here and on the host."""
    folders = (root / "usr/share/fonts", "/usr/share/fonts")
    aliases = {
        "sans-serif": "DejaVu Sans",
        "ui-monospace": "DejaVu Sans Mono",
        "monospace": "DejaVu Sans Mono",
    }
    lines = [
        '<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd"><fontconfig>',
        *(f"<dir>{folder}</dir>" for folder in folders),
        *(
            f"<alias><family>{name}</family><prefer><family>{font}</family></prefer></alias>"
            for name, font in aliases.items()
        ),
        f"<cachedir>{CACHE / 'fonts'}</cachedir></fontconfig>",
    ]
    path = CACHE / "fonts.conf"
    write_whole(path, "\n".join(lines) + "\n")
    return path
