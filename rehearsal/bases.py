"""The stand-in base of each ROCm version: AMD's own HIP runtime in it, or the imitation of one.

A release with a capture bug that is published, and of which no binary is to be had, is imitated;
all others run AMD's runtime, as Debian packages it. docs/rehearsal.md says what is what.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.version import Version

from rehearsal import hip_packages
from rehearsal.engine import PrivateEngine
from rehearsal.root import MADE_SLIM, REPOSITORY, has_image, is_debian_13, root_image, say
from rehearsal.wheelhouse import wheelhouse
from rocm_images.engine import buildx
from rocm_images.engine.connect import Engine
from rocm_images.errors import BuildFailed, EngineError
from rocm_images.matrix.schema import Layers
from rocm_images.places import STATE
from rocm_images.plan.variants import contains
from rocm_images.recipe.build_id import files_of
from rocm_images.recipe.labels import IMITATION
from rocm_images.waiting import waiting_for

if TYPE_CHECKING:
    import docker

    from rehearsal.hip_packages import HipRuntime
    from rocm_images.matrix.schema import Matrix

FOLDER = Path(__file__).resolve().parent
HIP_CACHE = PrivateEngine().cache / "hip-packages"
_PYPI = "https://pypi.org/simple/"
# Of what is in no image: a gigabyte takes gzip 37 s of the CPU where this takes 10. The bases have
# gzip, as their vendor's have.
_QUICK = Layers(compression="zstd:1")


@dataclass(frozen=True)
class _Pins:
    """The matrix's pinned packages: those that PyPI has are real, the others stand-ins."""

    real: tuple[str, ...]
    stand_ins: tuple[str, ...]

    @classmethod
    def of(cls, matrix: Matrix, rocm: str) -> _Pins:
        pins = {
            f"{name}=={pin.version}": pin.index
            for server in matrix.servers.values()
            for name, variants in server.packages.items()
            for pin in variants
            if not pin.leave_out
        }
        if sdk := matrix.bases[rocm].sdk:
            # These hold what the stand-in has of them.
            made = {"rocm", "rocm-sdk-core", "rocm-sdk-devel", "torch"}
            pins |= {f"{n}=={v}": sdk.index for n, v in sdk.packages.items() if n not in made}
            pins |= {
                f"{name}-{arch.gfx}=={version}": sdk.index
                for name, version in sdk.devices.items()
                for arch in matrix.archs.values()
            }
        real = tuple(pin for pin, index in pins.items() if index == _PYPI)
        return cls(real, tuple(pin for pin in pins if pin not in real))


def is_imitated(matrix: Matrix, rocm: str) -> bool:
    """Whether AMD's runtime that is to be had is no model for a release.

    It is one for the releases whose captures no advisory calls unsafe, and which have the same
    build of HIP, where the matrix says which have.
    """
    guarded = [advisory.affected.rocm for advisory in matrix.advisories if advisory.capture_guard]
    if any(affected is None or contains(affected, rocm) for affected in guarded):
        return True
    version, current = Version(rocm), Version(hip_packages.CURRENT)
    return bool(matrix.hip_builds) and not any(
        Version(build.first) <= min(version, current)
        and max(version, current) <= Version(build.last)
        for build in matrix.hip_builds.values()
    )


def runtime_of(matrix: Matrix, rocm: str) -> HipRuntime | None:
    """AMD's runtime under a ROCm version's images; None for the imitation."""
    found = {} if is_imitated(matrix, rocm) else hip_packages.taken(HIP_CACHE)
    return found.get(hip_packages.CURRENT)


def base_reference(matrix: Matrix, rocm: str) -> str:
    """The name of the stand-in base of a ROCm version; it holds a digest of what goes in."""
    pins, runtime = _Pins.of(matrix, rocm), runtime_of(matrix, rocm)
    # Of two, only the one that is in it counts: a change of the imitation leaves AMD's as it is.
    hip = runtime.packages if runtime else files_of(FOLDER / "hip")
    below = (MADE_SLIM, files_of(FOLDER / "base"))
    content = repr((below, hip, pins, rocm, _torch_of(matrix, rocm)))
    return f"{REPOSITORY}/base:rocm{rocm}-{_short(content)}"


def make_base(engine: Engine, client: docker.DockerClient, matrix: Matrix, rocm: str) -> None:
    """Build the stand-in base of a ROCm version, where the engine lacks it.

    Raises:
        EngineError: what it is made from cannot be had.
        BuildFailed: it does not build.
    """
    had = has_image(client, base_reference(matrix, rocm))
    if not is_imitated(matrix, rocm) and not (had and runtime_of(matrix, rocm)):
        # What was not to be had the last time may be there now.
        fetch_runtime(client, hip_packages.CURRENT)
        had = has_image(client, base_reference(matrix, rocm))
    if had:
        return
    runtime = runtime_of(matrix, rocm)
    try:
        _make_base(engine, client, matrix, rocm, runtime)
    except BuildFailed:
        if runtime is None or runtime.pinned:
            raise
        # Newer packages than those that were tried can need what is not among them.
        hip_packages.note_unusable(HIP_CACHE, runtime.release)
        say(f"{runtime.whose} does not run in the base, so the imitation takes its place")
        _make_base(engine, client, matrix, rocm, None)


def _make_base(
    engine: Engine,
    client: docker.DockerClient,
    matrix: Matrix,
    rocm: str,
    runtime: HipRuntime | None,
) -> None:
    pins, sdk = _Pins.of(matrix, rocm), matrix.bases[rocm].sdk
    whose = runtime.whose if runtime else IMITATION
    say(f"making the stand-in base for ROCm {rocm} (HIP runtime: {whose})")
    cache = PrivateEngine().cache
    contexts = {"wheelhouse": str(wheelhouse(cache / "wheelhouse", pins.real))}
    if runtime:
        contexts["hip-packages"] = str(runtime.copy_to(HIP_CACHE, cache / "hip"))
    else:
        contexts["hip-source"] = str(FOLDER / "hip")
    arguments = {
        "HIP": "amd" if runtime else "imitation",
        "HIP_RUNTIME": whose,
        "ROCM_VERSION": rocm,
        "TORCH_VERSION": _torch_of(matrix, rocm),
        "PACKAGES": " ".join(pins.stand_ins),
    }
    name = f"base-rocm{rocm}"
    target = "stand-in-sdk" if sdk else "stand-in"
    _build(engine, client, name, base_reference(matrix, rocm), contexts, arguments, target)


def _torch_of(matrix: Matrix, rocm: str) -> str:
    base = matrix.bases[rocm]
    return base.sdk.packages["torch"] if base.sdk else f"{base.torch}+rocm{rocm}.standin"


def make_laboratory(engine: Engine, client: docker.DockerClient) -> str:
    """The image with AMD's runtimes for the tests, built where the engine lacks it.

    A release that Debian dropped is not in it; hip_packages.taken says which are.

    Raises:
        EngineError: the current one is not to be had, or another that Debian still has.
        BuildFailed: it does not build.
    """
    for release in hip_packages.pinned():
        failure = fetch_runtime(client, release)
        if failure and not isinstance(failure, hip_packages.Dropped):
            raise EngineError(f"{_missing(release)}: {failure}")
    found = hip_packages.taken(HIP_CACHE)
    if hip_packages.CURRENT not in found:
        raise EngineError(_missing(hip_packages.CURRENT))
    below = (MADE_SLIM, files_of(FOLDER / "base"))
    content = repr((below, [one.packages for one in found.values()]))
    reference = f"{REPOSITORY}/laboratory:{_short(content)}"
    if not has_image(client, reference):
        say("making the laboratory: AMD's HIP runtimes " + " and ".join(found))
        cache = PrivateEngine().cache
        older = cache / "old-hip"
        if hip_packages.UNSAFE in found:
            found[hip_packages.UNSAFE].copy_to(HIP_CACHE, older)
        else:
            shutil.rmtree(older, ignore_errors=True)
            older.mkdir(parents=True)
        contexts = {
            "hip-packages": str(found[hip_packages.CURRENT].copy_to(HIP_CACHE, cache / "hip")),
            "old-hip-packages": str(older),
        }
        _build(engine, client, "laboratory", reference, contexts, {}, target="laboratory")
    return reference


def _missing(release: str) -> str:
    return f"AMD's HIP runtime {release} is not to be had, and without it nothing is shown"


def fetch_runtime(client: docker.DockerClient, release: str) -> EngineError | None:
    """Has a runtime's packages in the cache, or says, and returns, why they are not to be had."""
    known = hip_packages.taken(HIP_CACHE).get(release)
    if known and known.is_in(HIP_CACHE):
        return None
    root = root_image(client)
    try:
        if not is_debian_13(root):
            raise EngineError(f"Debian's packages do not run on {root}")
        say(f"fetching AMD's HIP runtime {release}: Debian's packages")
        runtime = hip_packages.fetch(client, root, HIP_CACHE, release)
        if not runtime.pinned:
            say(f"the pinned packages of HIP {release} are gone: {runtime.whose}")
    except EngineError as error:
        hip_packages.note_unusable(HIP_CACHE, release)
        instead = "the imitation takes its place" if release == hip_packages.CURRENT else "none"
        say(f"AMD's HIP runtime {release} is not to be had ({instead}): {error}")
        return error
    return None


def _build(
    engine: Engine,
    client: docker.DockerClient,
    name: str,
    reference: str,
    contexts: Mapping[str, str],
    arguments: Mapping[str, str],
    target: str = "stand-in",
) -> None:
    request = buildx.BuildRequest(
        dockerfile=FOLDER / "base" / "Dockerfile",
        directory=FOLDER / "base",
        references=(reference,),
        contexts={"root": f"docker-image://{root_image(client)}", **contexts},
        labels={},
        log=STATE / "logs" / f"rehearsal-{name}.log",
        build_args=arguments,
        target=target,
        layers=_QUICK if target == "laboratory" else None,
    )
    with waiting_for(f"the build of {name}") as wait:
        status, read = buildx.run(buildx.find_buildx(engine), request, wait.step)
    if status != 0:
        tail = "\n".join(f"    {line}" for line in read.tail())
        raise BuildFailed(
            f"the rehearsal's {name} does not build: {read.failed_step}: {read.error}\n"
            f"{tail}\n  full log: {request.log}"
        )


def _short(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:12]
