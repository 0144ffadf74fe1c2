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

from machines import DEVICES, Machine
from rocm_images.engine.connect import connect
from rocm_images.engine.containers import run_label
from rocm_images.matrix.schema import Matrix
from rocm_images.plan.cells import Cell, cells_of
from rocm_images.plan.load import load
from rocm_images.plan.selection import cell_named
from rocm_images.recipe.labels import PREFIX, labels_of
from rocm_images.smoke import emulator
from rocm_images.smoke.evidence import Level

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
    group.addoption("--emulator", type=Path, help="a program to run the graph probe under")
    group.addoption("--probe-result", type=Path, help="where to write what the graph probe found")
    group.addoption(
        "--serve-result",
        type=Path,
        help="start the server, and where to write what it showed",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "device: needs a GPU, an emulated one, or a stand-in")
    config.addinivalue_line("markers", "serve: starts the server itself, on a GPU, where asked to")
    config.addinivalue_line(
        "markers", "no_gpu: needs a stand-in or an emulator, whose machine can be changed"
    )
    config.addinivalue_line("markers", "guarded: needs an image with the capture guard")
    config.addinivalue_line("markers", "emulated: needs the image's own HIP runtime, emulated")
    config.addinivalue_line("markers", "deployed: is about the container that a real GPU is given")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a device, what needs one is no part of the run; the evidence then says `static`."""
    device = config.option.device
    serving = (Level.GPU,) if config.option.serve_result else ()
    # How the machine of somebody else's emulator could be changed is not known here.
    ours = () if config.option.emulator else (Level.EMULATED,)
    guarded = tuple(Level) if _has_guard(config) else ()
    for marker, levels in (
        ("device", (Level.STAND_IN, Level.EMULATED, Level.GPU)),
        ("no_gpu", (Level.STAND_IN, *ours)),
        ("emulated", ours),
        ("serve", serving),
        ("deployed", (Level.GPU,)),
        ("guarded", guarded),
    ):
        if device not in levels:
            left_out = [item for item in items if item.get_closest_marker(marker)]
            config.hook.pytest_deselected(items=left_out)
            items[:] = [item for item in items if item not in left_out]


def _has_guard(config: pytest.Config) -> bool:
    """Whether the image is to carry the capture guard."""
    options = config.option
    if not (options.cell and options.matrix):
        return False
    return cell_named(cells_of(load(options.matrix)), options.cell).capture_guard


@dataclass(frozen=True)
class ImageUnderTest:
    """One image and what the matrix expects of it."""

    reference: str
    matrix: Matrix
    cell: Cell
    machine: Machine

    @property
    def expected_labels(self) -> dict[str, str]:
        return labels_of(self.cell)


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
    machine = Machine(options.device, cell.gfx, options.emulator)
    image = ImageUnderTest(options.image, matrix, cell, machine)
    metafunc.parametrize("image", [image], ids=[cell.name], scope="session")


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    client = connect().client(120)
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
        container = client.containers.run(
            image.reference,
            ["sleep", str(seconds)],
            detach=True,
            auto_remove=True,
            network_mode="none",
            labels={PREFIX + "smoke": image.cell.name, **run_label()},
            # sleep as process 1 ignores the stop signal, and nothing in it needs a shutdown.
            stop_signal="SIGKILL",
            **image.machine.options(client, stack),
        )
        stack.callback(container.stop, timeout=0)
        yield testinfra.get_host(f"docker://{container.id}")


@dataclass(frozen=True)
class SelftestRun:
    """The self-test in the container: its exit code, and the file that it wrote as text."""

    code: int
    stderr: str
    text: str

    def tier(self, name: str) -> dict[str, Any]:
        tiers: list[dict[str, Any]] = json.loads(self.text)["tiers"]
        return next(tier for tier in tiers if tier["name"] == name)


@pytest.fixture(scope="session")
def selftest(host: Host, image: ImageUnderTest) -> SelftestRun:
    """The owner's kit, where no GPU makes it start servers: the doctor and a whole probe."""
    image_id = f"--image-id={image.reference}" if image.reference.startswith("sha256:") else ""
    before = " ".join(image.machine.before(ROCM_IMAGES_SKIP_PREFLIGHT="1"))
    answer = host.run(f"{before} rocm-entrypoint selftest --output - {image_id}")
    return SelftestRun(answer.rc, answer.stderr, answer.stdout)


@pytest.fixture(scope="session")
def report(host: Host) -> dict[str, Any]:
    """What the doctor says, started as `docker run IMAGE doctor --json` starts it."""
    answer = host.run("env ROCM_IMAGES_SKIP_PREFLIGHT=1 rocm-entrypoint doctor --json")
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


FEW_STEPS = ("--steps", "8", "--batch", "1", "4")
"""For runs that are not about the tokens: graphs are captured and replayed all the same."""


@dataclass(frozen=True)
class ProbeRun:
    """One run of the graph probe in the container."""

    code: int
    stderr: str
    found: dict[str, Any]


class Probe:
    """Runs graph-probe in the container, with variables of this run alone.

    `gfx` and `devices` change a machine that has no real GPU.
    """

    def __init__(self, host: Host, machine: Machine) -> None:
        self._host = host
        self._machine = machine

    def __call__(
        self, *arguments: str, gfx: str | None = None, devices: int = DEVICES, **variables: str
    ) -> ProbeRun:
        words = self._machine.before(gfx=gfx, devices=devices, **variables)
        words += ["graph-probe", *arguments, "--json"]
        answer = self._host.run(" ".join(shlex.quote(word) for word in words))
        return ProbeRun(answer.rc, answer.stderr, json.loads(answer.stdout))


@pytest.fixture(scope="session")
def probe(host: Host, image: ImageUnderTest) -> Probe:
    if image.machine.level is Level.EMULATED and not image.machine.program:
        kernels = host.file("/opt/rocm-images/graph_probe/kernels.cpp").sha256sum
        if kernels != emulator.kernels_digest():
            pytest.fail(
                "the image's graph-probe has other kernels than this checkout's, which the "
                "emulator runs: test the image from the checkout that it was built from"
            )
    return Probe(host, image.machine)


@pytest.fixture(scope="session")
def run(
    probe: Probe,
    image: ImageUnderTest,
    client: docker.DockerClient,
    host: Host,
    request: pytest.FixtureRequest,
) -> ProbeRun:
    """`graph-probe run` as the image is; its findings become the evidence.

    The self-test makes one, and where that is all that it does, one is enough.
    """
    if image.machine.can_change:
        made: SelftestRun = request.getfixturevalue("selftest")
        tier = made.tier("probe")
        done = ProbeRun(tier["exit_code"], made.stderr, tier["found"])
    else:
        done = probe("run")
    path: Path | None = request.config.option.probe_result
    if path:
        leave(path, done, client, host)
    return done


def leave(path: Path, done: ProbeRun, client: docker.DockerClient, host: Host) -> None:
    """Leave what was found for the evidence, with the image that the container is really of."""
    image_id = client.containers.get(host.backend.name).attrs["Image"]
    path.write_text(json.dumps({"image_id": image_id, "found": done.found}))
