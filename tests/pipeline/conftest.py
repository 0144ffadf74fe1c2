"""A real engine (the one that answers, else the private one) and build.py run on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import four_cells
import pytest
from checkouts import PROJECT as PROJECT
from checkouts import Answer as Answer
from checkouts import Checkout, beside
from surroundings import settle

from made_up_fulcio import Fulcio
from registry import PROGRAM, Registry
from rehearsal import debian_packages
from rehearsal.engine import PrivateEngine
from rehearsal.next_cosign import next_cosign
from rehearsal.stand_ins import Rehearsal
from rocm_images.engine import connect as engine
from rocm_images.engine.buildx import Buildx, find_buildx
from rocm_images.engine.connect import Engine
from rocm_images.errors import EngineError
from rocm_images.plan.cells import cells_of
from rocm_images.recipe.labels import HIP_RUNTIME, IMITATION, PREFIX
from rocm_images.smoke import emulator

if TYPE_CHECKING:
    from attacked_site import Site

BUILD_PY = [sys.executable, str(PROJECT / "build.py")]


settle(machine=True)
# What build.py is called with here, wherever a test names no other.
os.environ["ROCM_IMAGES_MATRIX"] = str(four_cells.PATH)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs the rehearsed images, or writes to build/, follows one another: `-m images`."""
    for item in items:
        of_images = "rehearsed" in getattr(item, "fixturenames", ())
        if of_images or hasattr(getattr(item, "module", None), "run_build_py"):
            item.add_marker(pytest.mark.images)


_running: pytest.Item | None = None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    global _running
    _running = item


def run_build_py(*arguments: str, environment: Mapping[str, str] | None = None) -> Answer:
    """Run this checkout's build.py, which writes to its build/: nothing else may meanwhile."""
    assert _running
    assert _running.get_closest_marker("images"), (
        "beside it run the tests of `-m images`, which write there, too: work in `elsewhere`"
    )
    return Checkout(PROJECT).build_py(*arguments, environment=environment)


def run_in(
    client: docker.DockerClient, image: str, words: Sequence[str], **options: Any
) -> tuple[int, str, str]:
    """Run a command in a new container without network, through the image's entrypoint.

    Returns its status, standard output and standard error; nothing of the container is left.
    """
    container = client.containers.create(
        image, list(words), network_mode="none", labels={PREFIX + "test": "pipeline"}, **options
    )
    try:
        container.start()
        status = int(container.wait(timeout=600)["StatusCode"])
        out, err = (container.logs(stdout=o, stderr=not o).decode() for o in (True, False))
        return status, out, err
    finally:
        container.remove(force=True)


def containers_of(client: docker.DockerClient, kind: str, *image_ids: str) -> list[str]:
    """The containers of these images of which the program's labels say that they are for this.

    The other lane's tests have containers of their own images meanwhile.
    """
    there = client.api.containers(all=True, filters={"label": PREFIX + kind})
    return [str(one["Id"]) for one in there if one["ImageID"] in image_ids]


def is_on(client: docker.DockerClient, image_id: str) -> bool:
    """Whether the engine has an image.

    The SDK's own list asks for each of all images again, and fails where the other lane's tests
    have removed one by then.
    """
    return any(one["Id"] == image_id for one in client.api.images())


def run_on_gpus(
    client: docker.DockerClient, image: str, words: Sequence[str], **environment: str
) -> tuple[int, str, str]:
    """`run_in` where the image sees two GPUs: emulated ones, or those of the imitation of HIP."""
    labels = client.images.get(image).labels
    if labels[HIP_RUNTIME] == IMITATION:
        machine = {"HIP_STANDIN_DEVICES": "2", "HIP_STANDIN_GFX": labels[PREFIX + "gfx"]}
        return run_in(client, image, words, environment={**machine, **environment})
    machine = emulator.environment(labels[PREFIX + "gfx"], 2)
    with emulator.lent(client) as holder:
        return run_in(
            client,
            image,
            words,
            environment={**machine, **environment},
            volumes_from=[f"{holder}:ro"],
        )


@pytest.fixture(scope="session")
def rehearsed() -> Answer:
    """All four cells, built and tested in rehearsal; what every other test here starts from."""
    return run_build_py("--rehearse")


@pytest.fixture
def rolling(rehearsed: Answer) -> Answer:
    """The same images again, with the rolling tags, which a variant of another test may have."""
    again = run_build_py("--rehearse", "--no-smoke")
    assert again.code == 0, again.stderr
    assert {cell["result"] for cell in again.summary.values()} == {"up to date"}
    return again


@pytest.fixture(scope="session")
def running_engine() -> Engine:
    """The engine that answers, else the private one; for tests that need no rehearsed image."""
    try:
        return engine.connect()
    except EngineError:
        # In a process of its own, which the engine outlives.
        subprocess.run([sys.executable, PROJECT / "rehearsal" / "engine.py", "start"], check=True)
        return engine.connect({**os.environ, **PrivateEngine().environment()})


@pytest.fixture(scope="session")
def elsewhere(running_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of this checkout on the same engine, for what runs beside `-m images`.

    Those tests move tags of the engine's images, and take that of sglang-942-rocm7.2.0 away for a
    while.
    """
    folder = tmp_path_factory.mktemp("elsewhere") / "checkout"
    return beside(folder, running_engine.environment)


@pytest.fixture(scope="session")
def apart(elsewhere: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """`elsewhere` with images of its own, which no test of `-m images` tags or removes."""
    matrix = tmp_path_factory.mktemp("apart") / "matrix.yaml"
    matrix.write_text(four_cells.apart("sglang-rocm-apart", "the tests apart"))
    return Checkout(elsewhere.folder, {**elsewhere.environment, "ROCM_IMAGES_MATRIX": str(matrix)})


@pytest.fixture(scope="session")
def image_apart(apart: Checkout) -> str:
    """The id of its image for 942 on ROCm 7.2.2, which was not tested."""
    words = ("--arch", "942", "--base", "7.2.2", "--rehearse", "--no-smoke")
    answer = apart.build_py(*words)
    assert answer.code == 0, answer.stderr
    return str(answer.summary["sglang-942-rocm7.2.2"]["image_id"])


@pytest.fixture(scope="session")
def stand_in_bases(running_engine: Engine) -> None:
    """The bases of all four cells are on the engine."""
    Rehearsal().prepared(four_cells.MATRIX, cells_of(four_cells.MATRIX), tests=False)


@pytest.fixture(scope="session")
def real_engine(rehearsed: Answer, running_engine: Engine) -> Engine:
    """The engine that the rehearsal used."""
    return running_engine


@pytest.fixture(scope="session")
def registry_program() -> Path:
    """The registry of the distribution's package, unpacked with the private engine's."""
    packages = PrivateEngine().packages
    return debian_packages.unpack(packages, debian_packages.distribution()) / PROGRAM


@pytest.fixture(scope="session")
def cosigns(registry_program: Path) -> dict[str, Path]:
    """cosign of the packages that the registry comes from, or, on Ubuntu, the installed one; and
    the one that distributions ship next."""
    assert registry_program.exists()
    found = shutil.which("cosign", path=PrivateEngine().environment()["PATH"])
    assert found, "cosign is missing: docs/publish.md"
    return {"today's": Path(found), "the next": next_cosign()}


@pytest.fixture(scope="module", params=["today's", "the next"])
def each_cosign(request: pytest.FixtureRequest, cosigns: dict[str, Path]) -> Path:
    return cosigns[request.param]


@pytest.fixture(scope="module")
def fulcio(tmp_path_factory: pytest.TempPathFactory) -> Fulcio:
    return Fulcio(tmp_path_factory.mktemp("fulcio"))


@pytest.fixture
def registry(registry_program: Path, tmp_path: Path) -> Iterator[Registry]:
    """A real registry on loopback, empty."""
    with Registry(registry_program, tmp_path / "registry") as started:
        yield started


@dataclass(frozen=True)
class Keys:
    """Two key pairs that cosign made for the tests, and what a process needs to use them."""

    ours: Path
    our_public: Path
    others: Path
    others_public: Path
    environment: Mapping[str, str]


@pytest.fixture(scope="session")
def keys(
    running_engine: Engine, registry_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Keys:
    # cosign is the distribution's, as the registry is, unless the engine's owner has one.
    path = os.pathsep.join([running_engine.environment["PATH"], str(registry_program.parent)])
    environment = {
        **running_engine.environment,
        "PATH": path,
        "COSIGN_PASSWORD": "of these tests alone",
    }
    folders = [tmp_path_factory.mktemp(name) for name in ("ours", "others")]
    for folder in folders:
        words = ["cosign", "generate-key-pair"]
        subprocess.run(words, cwd=folder, env=environment, check=True, capture_output=True)
    pairs = [folder / f"cosign.{end}" for folder in folders for end in ("key", "pub")]
    return Keys(*pairs, environment)


@pytest.fixture(scope="session")
def buildx(running_engine: Engine) -> Buildx:
    return find_buildx(running_engine)


@pytest.fixture(scope="session")
def client(running_engine: Engine) -> Iterator[docker.DockerClient]:
    client = running_engine.client()
    yield client
    client.close()


@pytest.fixture(scope="session")
def attacked(
    keys: Keys, registry_program: Path, rehearsed: Answer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A registry with two published images, which `site` gives to each test as it was."""
    from attacked_site import published

    folder = tmp_path_factory.mktemp("attacked") / "registry"
    with published(Registry(registry_program, folder), keys) as found:
        yield found


@pytest.fixture
def site(attacked: Site, client: docker.DockerClient) -> Iterator[Site]:
    from attacked_site import as_found

    with as_found(attacked, client):
        yield attacked
