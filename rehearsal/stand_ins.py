"""Prepares a rehearsal: the engine, a stand-in base for each ROCm version, stand-in sources.

Everything is made once and reused: an image is named by a digest of what it is made from.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rehearsal import debian_packages
from rehearsal.engine import PROJECT, PrivateEngine
from rocm_images import buildx, engine
from rocm_images.children import Children
from rocm_images.engine import Engine
from rocm_images.errors import BuildFailed, EngineError
from rocm_images.identity import files_of
from rocm_images.labels import PREFIX, STAND_IN

if TYPE_CHECKING:
    import docker

    from rocm_images.matrix import Matrix
    from rocm_images.plan import Cell

FOLDER = Path(__file__).resolve().parent
REPOSITORY = "rocm-serving-images-rehearsal"
TAG_SUFFIX = "-rehearsal"
_PYPI = "https://pypi.org/simple/"
_DEBIAN_IMAGE = ("debian", "bookworm-slim")


# What every rehearsed image says of itself, beside what its base's label makes it inherit.
LABELS = {STAND_IN: "base sources", PREFIX + "rehearsal": "true"}


def contexts_of(matrix: Matrix, cell: Cell) -> dict[str, str]:
    """The named contexts that replace a cell's base and sources by stand-ins."""
    sources = FOLDER / "sources"
    return {
        cell.base_image: f"docker-image://{base_reference(matrix, cell.rocm)}",
        "sglang-src": str(sources / "sglang"),
        "aiter-src": str(sources / "aiter"),
        "rustup-src": str(sources / "rustup"),
    }


def base_reference(matrix: Matrix, rocm: str) -> str:
    """The name of the stand-in base of a ROCm version; it holds a digest of what goes in."""
    pins = _Pins.of(matrix)
    files = [files_of(FOLDER / "base"), files_of(FOLDER / "hip")]
    digest = hashlib.sha256(repr((files, pins, rocm)).encode()).hexdigest()
    return f"{REPOSITORY}/base:rocm{rocm}-{digest[:12]}"


@dataclass(frozen=True)
class _Pins:
    """The matrix's pinned packages: those that PyPI has are real, the others stand-ins."""

    real: tuple[str, ...]
    stand_ins: tuple[str, ...]

    @classmethod
    def of(cls, matrix: Matrix) -> _Pins:
        pins = {f"{name}=={pin.version}": pin.index for name, pin in matrix.packages.items()}
        real = tuple(pin for pin, index in pins.items() if index == _PYPI)
        return cls(real, tuple(pin for pin in pins if pin not in real))


def prepare(matrix: Matrix, cells: Sequence[Cell]) -> Engine:
    """The engine of a rehearsal, with the stand-in bases of these cells; made where missing.

    Raises:
        EngineError: no engine answers and none can be started.
        BuildFailed: a stand-in base does not build.
    """
    found = find_engine()
    if found is None:
        _say("no Docker Engine answers: starting a private one; `make engine-stop` ends it")
        private = PrivateEngine()
        private.start()
        found = engine.connect({**os.environ, **private.environment()})
    client = found.client()
    try:
        for rocm in dict.fromkeys(cell.rocm for cell in cells):
            if not _has(client, base_reference(matrix, rocm)):
                _make_base(found, client, matrix, rocm)
    finally:
        client.close()
    return found


def find_engine() -> Engine | None:
    """An engine that answers, else the private one where it runs."""
    try:
        return engine.connect()
    except EngineError:
        private = PrivateEngine()
        if private.pid() is None:
            return None
        return engine.connect({**os.environ, **private.environment()})


def _say(text: str) -> None:
    print(f"rehearsal  {text}", file=sys.stderr, flush=True)


def _make_base(found: Engine, client: docker.DockerClient, matrix: Matrix, rocm: str) -> None:
    pins = _Pins.of(matrix)
    _say(f"making the stand-in base for ROCm {rocm}")
    cache = PrivateEngine().cache
    logs = PROJECT / "build" / "logs"
    request = buildx.BuildRequest(
        dockerfile=FOLDER / "base" / "Dockerfile",
        directory=FOLDER / "base",
        references=(base_reference(matrix, rocm),),
        contexts={
            "root": f"docker-image://{_root(client)}",
            "wheelhouse": str(_wheelhouse(cache / "wheelhouse", pins.real)),
            "hip-source": str(FOLDER / "hip"),
        },
        labels={},
        log=logs / f"rehearsal-base-rocm{rocm}.log",
        iid_file=cache / f"base-rocm{rocm}.id",
        build_args={"ROCM_VERSION": rocm, "PACKAGES": " ".join(pins.stand_ins)},
    )
    status, read = buildx.run(buildx.find_buildx(found), request, Children(), lambda step: None)
    if status != 0:
        tail = "\n".join(f"    {line}" for line in read.tail())
        raise BuildFailed(
            f"the stand-in base for ROCm {rocm} does not build: {read.failed_step}: {read.error}\n"
            f"{tail}\n  full log: {request.log}"
        )


def _has(client: docker.DockerClient, reference: str) -> bool:
    from docker.errors import ImageNotFound

    try:
        client.images.get(reference)
    except ImageNotFound:
        return False
    return True


def _root(client: docker.DockerClient) -> str:
    """A small Debian or Ubuntu image: pulled where that works, else made from packages."""
    from docker.errors import APIError

    name, tag = _DEBIAN_IMAGE
    made = f"{REPOSITORY}/root:made"
    if _has(client, made):
        return made
    pulled = f"{name}:{tag}"
    if _has(client, pulled):
        return pulled
    try:
        client.images.pull(name, tag=tag)
    except APIError:
        _make_root(client, made)
        return made
    return pulled


def _make_root(client: docker.DockerClient, reference: str) -> None:
    if os.geteuid() != 0:
        raise EngineError(
            f"{':'.join(_DEBIAN_IMAGE)} cannot be pulled, and only root can make a root file "
            "system from packages instead: log in to a registry that has it, or run this as root"
        )
    _say("making a small root file system from the distribution's packages")
    host = debian_packages.distribution()
    programs = debian_packages.unpack(PrivateEngine().packages, host) / "usr" / "bin"
    program = str(programs / "mmdebstrap")
    archive = PrivateEngine().cache / "root.tar"
    done = subprocess.run(
        [program, "--variant=minbase", "--quiet", host.codename, str(archive)]
        + [debian_packages.mirror(PrivateEngine().packages)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise EngineError(f"mmdebstrap failed: {done.stderr.strip() or done.returncode}")
    repository, tag = reference.rsplit(":", 1)
    client.api.import_image_from_file(
        str(archive), repository=repository, tag=tag, changes=[f"LABEL {STAND_IN}=root"]
    )
    archive.unlink()


def _wheelhouse(folder: Path, pins: Sequence[str]) -> Path:
    """Real wheels, downloaded once: the build tools by their hashes, and the matrix's PyPI pins."""
    requirements = FOLDER / "base" / "requirements.txt"
    finished = folder.with_suffix(".finished")
    wanted = requirements.read_text() + "\n".join(pins)
    if finished.is_file() and finished.read_text() == wanted:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    _pip_download(folder, "--require-hashes", f"--requirement={requirements}")
    if pins:
        _pip_download(folder, *pins)
    finished.write_text(wanted)
    return folder


def _pip_download(folder: Path, *what: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={folder}"]
        # For the base's interpreter, whichever it is: pure Python only.
        + ["--only-binary=:all:", "--platform=any", "--implementation=py", "--abi=none"]
        + ["--python-version=3.11", *what],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise EngineError(
            "pip cannot download the wheels of the stand-in base; check that this machine reaches "
            f"its package index:\n{done.stderr.strip()}"
        )
