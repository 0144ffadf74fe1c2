"""The emulator that an image's own HIP runtime runs on where there is no GPU: built, and lent.

It lies in an image of its own, as a volume that a container of the image under test mounts
read-only; so it works on any engine, a remote one too, and nothing of it is ever in an image.
docs/emulation.md says what it is, and what it says about an image.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from rocm_images.engine import buildx
from rocm_images.engine.connect import Engine
from rocm_images.engine.containers import container
from rocm_images.errors import BuildFailed, EngineError
from rocm_images.places import PARTS, ROOTFS, STATE
from rocm_images.recipe.build_id import files_of
from rocm_images.recipe.labels import PREFIX
from rocm_images.waiting import waiting_for

if TYPE_CHECKING:
    import docker

FOLDER = PARTS / "emulation"
PROBE = ROOTFS / "opt" / "rocm-images" / "graph_probe"
PROBES_OWN = (PROBE, PROBE.with_name("image_facts"), PROBE.with_name("image_servers"))
REPOSITORY = "rocm-serving-images-emulator"
MOUNTED_AT = "/opt/emulation"
LIBRARY = f"{MOUNTED_AT}/libhsa-runtime64.so.1"
PROBE_COMMAND = f"{MOUNTED_AT}/probe/usr/local/bin/graph-probe"
"""The probe that lies beside the emulator, for images that have none."""
COMPILED_AT = "/tmp/comgr"
MACHINES = frozenset({"x86_64", "amd64"})
"""What the emulator, and AMD's HIP runtime, run on."""


def reference() -> str:
    """The name of the emulator's image; it holds a digest of what it is built from."""
    parts = [files_of(folder) for folder in (FOLDER / "src", FOLDER / "kernels", *PROBES_OWN)]
    files = (FOLDER / "Dockerfile", FOLDER / "Makefile", ROOTFS / "usr/local/bin/graph-probe")
    recipe = [path.read_bytes() for path in files]
    content = repr((parts, recipe))
    return f"{REPOSITORY}:{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def is_there(client: docker.DockerClient) -> bool:
    """Whether the engine has it."""
    from docker.errors import ImageNotFound

    try:
        client.images.get(reference())
    except ImageNotFound:
        return False
    return True


def provide(engine: Engine) -> None:
    """Have it on the engine: built, where it is not there yet.

    Raises:
        EngineError: it cannot run there, or there is no buildx.
        BuildFailed: it does not build.
    """
    client = engine.client()
    try:
        if not is_there(client):
            build(engine, {})
    finally:
        client.close()


def build(engine: Engine, contexts: Mapping[str, str]) -> None:
    """Build it on the engine.

    Args:
        engine: it keeps the image.
        contexts: what replaces debian:trixie-slim, where that cannot be pulled.

    Raises:
        EngineError: it cannot run there, or there is no buildx.
        BuildFailed: it does not build.
    """
    client = engine.client()
    machine = str(client.info().get("Architecture"))
    client.close()
    if machine not in MACHINES:
        raise EngineError(
            f"the emulator runs on x86-64, and the engine's machine is {machine}: use an engine on "
            "another one"
        )
    request = buildx.BuildRequest(
        dockerfile=FOLDER / "Dockerfile",
        directory=FOLDER,
        references=(reference(),),
        contexts={"emulation": str(FOLDER), "rootfs": str(ROOTFS), **contexts},
        labels={PREFIX + "emulator": "true"},
        log=STATE / "logs" / "emulator.log",
    )
    found = buildx.find_buildx(engine)
    with waiting_for("the build of the emulator") as wait:
        status, read = buildx.run(found, request, wait.step)
    if status != 0:
        step, error = read.failed_step or "build", read.error or f"buildx ended with {status}"
        raise BuildFailed(
            f"the emulator does not build: {step}: {error}; full log: {request.log}. Where "
            "debian:trixie-slim cannot be pulled, give the engine an image of that name"
        )


@contextlib.contextmanager
def lent(client: docker.DockerClient) -> Iterator[str]:
    """The container whose volume holds the emulator, for `volumes_from`; it ends with the block."""
    _remove_left_behind(client)
    # Never started: the engine fills the volume when it makes the container.
    labels = {PREFIX + "smoke": "emulator"}
    with container(client, reference(), ["never-started"], labels=labels) as holder:
        yield str(holder.id)


def _remove_left_behind(client: docker.DockerClient) -> None:
    """Removes what a killed run left: no test takes a day."""
    from docker.errors import APIError

    day_ago = time.time() - 24 * 3600
    # The SDK's list of objects asks for each again, and fails where another cell's is gone by then.
    for one in client.api.containers(all=True, filters={"label": f"{PREFIX}smoke=emulator"}):
        if one["Created"] < day_ago:
            with contextlib.suppress(APIError):
                client.api.remove_container(one["Id"], v=True, force=True)


def environment(gfx: str, devices: int) -> dict[str, str]:
    """What a process in the image needs to see `devices` emulated GPUs of an arch.

    Preloaded, it satisfies libamdhip64's need of libhsa-runtime64.so.1 by that name, before the
    loader looks for the image's own, whatever RPATH says.
    """
    return {
        "LD_PRELOAD": LIBRARY,
        "HSA_STANDIN_GPUS": str(devices),
        "HSA_STANDIN_GFX": gfx,
        # HIP compiles kernels of its own, and keeps them: not in what is the image's.
        "AMD_COMGR_CACHE_DIR": COMPILED_AT,
    }


def kernels_digest() -> str:
    """The SHA-256 of the probe's kernels.cpp, whose kernels the emulator runs on the CPU."""
    return hashlib.sha256((PROBE / "kernels.cpp").read_bytes()).hexdigest()
