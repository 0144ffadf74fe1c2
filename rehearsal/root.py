"""The small root file system below the stand-in base and the emulator's build: Debian 13."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rehearsal import debian_packages
from rehearsal.engine import PrivateEngine
from rocm_images import telling
from rocm_images.errors import EngineError
from rocm_images.recipe.labels import STAND_IN
from rocm_images.streams import GivenUp
from rocm_images.supervisor import supervisor
from rocm_images.waiting import waiting_for

_SECONDS = 1800.0
"""The most that a mirror is given."""

if TYPE_CHECKING:
    import docker

REPOSITORY = "rocm-serving-images-rehearsal"
DEBIAN_IMAGE = "debian:trixie-slim"
_CODENAME = "trixie"
_SLIM = "-slim"
# mmdebstrap runs it at its end: until then it needs the archives itself.
MADE_SLIM = r"""
cat > "$1/etc/apt/apt.conf.d/slim" << 'END'
APT::Keep-Downloaded-Packages "false";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::Languages "none";
END
cat > "$1/etc/dpkg/dpkg.cfg.d/slim" << 'END'
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
# Python as a library of other programs, and the compiler for what links with -flto.
path-exclude=/usr/lib/python3*/config-*/*.a
path-exclude=/usr/libexec/gcc/*/lto1
END
rm -f "$1"/var/cache/apt/*.bin
cd "$1/usr/share"
find doc -type f ! -name copyright -delete
rm -rf info/* locale/* man/*
"""
"""As in Debian's slim images, what is installed keeps no archives, no lists in another form, no
documents and no translations: all of that would be built into, pushed and pulled with every image
of a rehearsal."""


def root_image(client: docker.DockerClient) -> str:
    """The reference of the root: pulled where that works, else made from packages.

    Raises:
        EngineError: it can be neither pulled nor made.
    """
    from docker.errors import APIError

    made = f"{REPOSITORY}/root:{_codename()}{_SLIM}"
    for known in (made, DEBIAN_IMAGE):
        if has_image(client, known):
            return known
    name, tag = DEBIAN_IMAGE.split(":")
    try:
        with waiting_for(f"docker.io, which may have {DEBIAN_IMAGE}"):
            client.images.pull(name, tag=tag)
    except APIError:
        _make(client, made)
        return made
    return DEBIAN_IMAGE


def is_debian_13(root: str) -> bool:
    """Whether AMD's libraries of Debian's packages, which need its C library, run on the root."""
    return root == DEBIAN_IMAGE or root.endswith(f":{_CODENAME}{_SLIM}")


def has_image(client: docker.DockerClient, reference: str) -> bool:
    """Whether the engine has the image."""
    from docker.errors import ImageNotFound

    try:
        client.images.get(reference)
    except ImageNotFound:
        return False
    return True


def _codename() -> str:
    """The release that is made here: Debian 13 from a Debian's mirror, else the host's own."""
    try:
        host = debian_packages.distribution()
    except EngineError:
        return _CODENAME
    return _CODENAME if host.is_debian else host.codename


def _make(client: docker.DockerClient, reference: str) -> None:
    if os.geteuid() != 0:
        raise EngineError(
            f"{DEBIAN_IMAGE} cannot be pulled, and only root can make a root file system from "
            "packages instead: log in to a registry that has it, or run this as root"
        )
    say("making a small root file system from the distribution's packages")
    host = debian_packages.distribution()
    programs = debian_packages.unpack(PrivateEngine().packages, host) / "usr" / "bin"
    archive = PrivateEngine().cache / "root.tar"
    try:
        with waiting_for("mmdebstrap") as wait:
            done = supervisor.run(
                [
                    *(str(programs / "mmdebstrap"), "--variant=minbase"),
                    f"--customize-hook={MADE_SLIM}",
                    *(_codename(), str(archive)),
                    debian_packages.mirror(PrivateEngine().packages),
                ],
                seconds=_SECONDS,
                on_line=wait.at,
            )
    except GivenUp as error:
        raise EngineError(f"mmdebstrap gave {error}: see whether the mirror answers") from None
    if done.status != 0:
        # Beside its complaints stands what it told of its steps.
        said = [line for line in done.errors.splitlines() if not line.startswith("I: ")]
        complaint = "\n".join(said).strip()
        raise EngineError(f"mmdebstrap failed: {complaint or done.status}")
    repository, tag = reference.rsplit(":", 1)
    with waiting_for("the engine, which takes it in"):
        client.api.import_image_from_file(
            str(archive), repository=repository, tag=tag, changes=[f"LABEL {STAND_IN}=root"]
        )
    archive.unlink()


def say(text: str) -> None:
    """A line about the rehearsal, at once."""
    telling.step(f"rehearsal  {text}")
