"""Starts one container of the image under test and says what the matrix expects of it.

These tests are for users too: `build.py smoke --image REF` runs them on any image of the project.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
import testinfra
from testinfra.host import Host

from rocm_images import emulator
from rocm_images.evidence import Level
from rocm_images.labels import PREFIX, labels_of
from rocm_images.matrix import Matrix
from rocm_images.matrix_file import load
from rocm_images.plan import Cell, cells_of
from rocm_images.selection import cell_named

# A container whose test run was killed ends by itself after this time.
CONTAINER_SECONDS, SERVING_CONTAINER_SECONDS = 1800, 7200


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("image under test")
    group.addoption("--image", help="reference or id of the image")
    group.addoption("--cell", help="the cell of the matrix that the image was built for")
    group.addoption("--matrix", type=Path, help="the matrix file")
    group.addoption(
        "--device",
        type=Level,
        choices=list(Level),
        default=Level.STATIC,
        help="what the container is given: static (no device), stand-in, emulated, gpu",
    )
    group.addoption("--probe-result", type=Path, help="where to write what the graph probe found")
    group.addoption(
        "--serve-result", type=Path, help="start SGLang itself, and where to write what it showed"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "device: needs a GPU, an emulated one, or a stand-in")
    config.addinivalue_line("markers", "serve: starts SGLang itself, on a GPU, where asked to")
    config.addinivalue_line(
        "markers", "no_gpu: needs a stand-in or an emulator, whose machine can be changed"
    )
    config.addinivalue_line("markers", "emulated: needs the image's own HIP runtime, emulated")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a device, what needs one is no part of the run; the evidence then says `static`."""
    device = config.option.device
    serving = (Level.GPU,) if config.option.serve_result else ()
    for marker, levels in (
        ("device", (Level.STAND_IN, Level.EMULATED, Level.GPU)),
        ("no_gpu", (Level.STAND_IN, Level.EMULATED)),
        ("emulated", (Level.EMULATED,)),
        ("serve", serving),
    ):
        if device not in levels:
            left_out = [item for item in items if item.get_closest_marker(marker)]
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]


@dataclass(frozen=True)
class ImageUnderTest:
    """One image and what the matrix expects of it."""

    reference: str
    matrix: Matrix
    cell: Cell
    device: Level

    @property
    def expected_labels(self) -> dict[str, str]:
        return labels_of(self.matrix, self.cell)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "image" not in metafunc.fixturenames:
        return
    options = metafunc.config.option
    if not (options.image and options.cell and options.matrix):
        raise pytest.UsageError(
            "these tests need an image: run `build.py smoke`, or `build.py smoke --image REF`"
        )
    matrix = load(options.matrix)
    cell = cell_named(cells_of(matrix), options.cell)
    image = ImageUnderTest(options.image, matrix, cell, options.device)
    metafunc.parametrize("image", [image], ids=[cell.name], scope="session")


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    client = docker.from_env(timeout=120)
    yield client
    client.close()


@pytest.fixture(scope="session")
def attributes(client: docker.DockerClient, image: ImageUnderTest) -> dict[str, Any]:
    """What `docker image inspect` says of the image."""
    found: dict[str, Any] = client.images.get(image.reference).attrs
    return found


@pytest.fixture(scope="session")
def host(
    client: docker.DockerClient, image: ImageUnderTest, request: pytest.FixtureRequest
) -> Iterator[Host]:
    """A container of the image without network, started through the image's own entrypoint."""
    serving = request.config.option.serve_result is not None
    seconds = SERVING_CONTAINER_SECONDS if serving else CONTAINER_SECONDS
    with ExitStack() as stack:
        options = _device_options(image)
        if image.device is Level.EMULATED:
            options["volumes_from"] = [f"{stack.enter_context(emulator.lent(client))}:ro"]
        container = client.containers.run(
            image.reference,
            ["sleep", str(seconds)],
            detach=True,
            auto_remove=True,
            network_mode="none",
            labels={PREFIX + "smoke": image.cell.name},
            # sleep as process 1 ignores the stop signal, and nothing in it needs a shutdown.
            stop_signal="SIGKILL",
            **options,
        )
        stack.callback(container.stop, timeout=0)
        yield testinfra.get_host(f"docker://{container.id}")


DEVICES = 2
"""How many GPUs the machine of a stand-in or of the emulator has, unless a test changes it."""


def machine(level: Level, *, gfx: str, devices: int = DEVICES) -> dict[str, str]:
    """The variables of a process that sees such a machine; none where there is a real one."""
    if level is Level.STAND_IN:
        return {"HIP_STANDIN_DEVICES": str(devices), "HIP_STANDIN_GFX": gfx}
    if level is Level.EMULATED:
        return emulator.environment(gfx, devices)
    return {"AMD_COMGR_CACHE_DIR": "/tmp/comgr"}


def _device_options(image: ImageUnderTest) -> dict[str, Any]:
    """How the container gets its devices."""
    if image.device is Level.GPU:
        # The flags that SGLang's ROCm images are run with. Devices are given by group number:
        # the image need not know the host's group names.
        devices = [Path("/dev/kfd"), Path("/dev/dri")]
        nodes = [devices[0], *sorted(devices[1].glob("renderD*"))]
        return {
            "devices": [f"{device}:{device}" for device in devices],
            "group_add": sorted({str(node.stat().st_gid) for node in nodes}),
            "ipc_mode": "host",
            "cap_add": ["SYS_PTRACE"],
            "security_opt": ["seccomp=unconfined"],
            "shm_size": "32g",
        }
    return {}


FEW_STEPS = ("--steps", "8")
"""For runs that are not about the tokens: each graph is captured and replayed all the same."""


@dataclass(frozen=True)
class ProbeRun:
    """One run of the graph probe in the container."""

    code: int
    stderr: str
    found: dict[str, Any]


class Probe:
    """Runs graph-probe in the container, with variables of this run alone.

    `gfx` and `devices` change the machine of a stand-in or of the emulator.
    """

    def __init__(self, host: Host, image: ImageUnderTest) -> None:
        self._host = host
        self._image = image

    def __call__(
        self, *arguments: str, gfx: str | None = None, devices: int = DEVICES, **variables: str
    ) -> ProbeRun:
        there = machine(self._image.device, gfx=gfx or self._image.cell.gfx, devices=devices)
        words = ["env", *(f"{name}={value}" for name, value in {**there, **variables}.items())]
        words += ["graph-probe", *arguments, "--json"]
        answer = self._host.run(" ".join(shlex.quote(word) for word in words))
        return ProbeRun(answer.rc, answer.stderr, json.loads(answer.stdout))


@pytest.fixture(scope="session")
def probe(host: Host, image: ImageUnderTest) -> Probe:
    if image.device is Level.EMULATED:
        kernels = host.file("/opt/rocm-images/graph_probe/kernels.cpp").sha256sum
        if kernels != emulator.kernels_digest():
            pytest.fail(
                "the image's graph-probe has other kernels than this checkout's, which the "
                "emulator runs: test the image from the checkout that it was built from"
            )
    return Probe(host, image)


@pytest.fixture(scope="session")
def run(probe: Probe, request: pytest.FixtureRequest) -> ProbeRun:
    """`graph-probe run` as the image is; its findings become the evidence."""
    done = probe("run")
    path: Path | None = request.config.option.probe_result
    if path:
        path.write_text(json.dumps(done.found, indent=2))
    return done
