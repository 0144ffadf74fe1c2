"""Checks which libamdhip64 torch would load, and that it is the one of the image's ROCm release.

A torch wheel can bring its own torch/lib/libamdhip64.so, which wins over /opt/rocm: images said to
be on ROCm 7.2.4 then run the HIP runtime of 7.2.0 (sgl-project/sglang#35390, #35806).
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from image_doctor.check import Check, failed, not_run, passed, warned
from image_doctor.image import REBUILD, Image
from image_facts import hip_builds
from image_facts.foreign import parsed
from image_facts.hip_builds import HipBuild, Release

LOADER = Path(__file__).with_name("load_runtime.py")
_VERSIONED = re.compile(r"libamdhip64\.so\.(\d+)\.(\d+)\.(\d+)")


class Runtime(NamedTuple):
    """A runtime library: its file, and HIP's version or the ROCm release, whichever it tells."""

    path: Path
    hip: Release | None
    release: Release | None = None

    def known(self, builds: Sequence[HipBuild]) -> HipBuild | None:
        """The ROCm releases that it can be of, None where that is not known."""
        if self.release:
            return HipBuild(self.hip or (), self.release, self.release)
        return hip_builds.find(builds, self.hip) if self.hip else None


def of_name(path: Path) -> Runtime:
    """What a file's name says: libamdhip64.so.7.2.53211 of a HIP build, or .70200 of ROCm 7.2.0."""
    match = _VERSIONED.fullmatch(path.name)
    if match is None:
        return Runtime(path, None)
    major, minor, last = map(int, match.groups())
    # AMD's packages put the ROCm release there, as major * 10000 + minor * 100 + patch.
    patch = last - major * 10_000 - minor * 100
    if 0 <= patch < 100:
        return Runtime(path, None, (major, minor, patch))
    return Runtime(path, (major, minor, last))


def candidates(image: Image) -> list[Path]:
    """The files that torch's loader would take, first choice first."""
    folders = [image.path("/opt/rocm/lib")]
    if image.site_packages is not None:
        # AMD's rocm-sdk wheels put the runtime beside torch and load it when torch is imported.
        folders.insert(0, image.site_packages / "_rocm_sdk_core" / "lib")
        folders.insert(0, image.site_packages / "torch" / "lib")
    found: list[Path] = []
    for folder in folders:
        files = sorted(path for path in folder.glob("libamdhip64.so*") if path.is_file())
        # The name with the most numbers tells most; the others are links to it.
        real = {path.resolve(): path for path in files}
        found += sorted(real, key=lambda path: len(path.name), reverse=True)
    return found


def find(image: Image) -> Runtime | None:
    """The runtime that torch would load: the loader is asked first, names are second best."""
    files = candidates(image)
    torch = image.site_packages / "torch" / "lib" if image.site_packages else None
    first = [torch / name for name in ("libc10_hip.so", "libtorch_hip.so")] if torch else []
    answer = _ask([path for path in first if path.is_file()] + files, image)
    if answer is not None:
        return answer
    return of_name(files[0]) if files else None


def _ask(libraries: list[Path], image: Image) -> Runtime | None:
    """Load the first library that loads, in a process of its own, and ask the runtime in it."""
    for library in libraries:
        try:
            answer = subprocess.run(
                [sys.executable, "-I", "-S", str(LOADER), str(library)],
                env=dict(image.environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=60,
                check=False,
            )
            found = parsed(answer.stdout)
            return Runtime(Path(found["path"]), hip_builds.of_integer(int(found["version"])))
        except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError):
            continue
    return None


def check_hip_runtime(image: Image) -> Check:
    """The HIP runtime that torch would load belongs to the image's ROCm release."""
    name = "hip-runtime"
    rocm, builds = image.facts.rocm, image.facts.hip_builds
    if rocm is None:
        return not_run(name, "image.json names no ROCm release to compare with.", REBUILD)
    release = hip_builds.release_of(rocm)
    runtime = find(image)
    if runtime is None:
        return failed(name, "there is no libamdhip64 in torch/lib or /opt/rocm/lib.", REBUILD)
    known = runtime.known(builds)
    vendored = image.site_packages is not None and image.site_packages in runtime.path.parents
    hip = "HIP " + ".".join(map(str, runtime.hip)) if runtime.hip else "a HIP of unknown version"
    said = (
        f"torch would load {image.shown(runtime.path)}: {hip}{f' ({known.text})' if known else ''}"
    )
    if known and known.first <= release <= known.last:
        return passed(name, f"{said}.")
    if _is_of_another(runtime, known, release, builds):
        trap = (
            "The torch wheel's own copy wins over /opt/rocm (sgl-project/sglang#35390, #35806): "
            "replace it by a link to /opt/rocm/lib, or use AMD's torch of the base image."
            if vendored
            else REBUILD
        )
        return failed(name, f"{said}; the image says ROCm {rocm}.", trap)
    if runtime.hip is not None and not vendored:
        # The release file is checked by itself; a release newer than the table knows is no fault.
        minor = ".".join(map(str, release[:2]))
        return passed(name, f"{said}, of ROCm {minor} by its version.")
    return warned(
        name,
        f"{said}; whether that is ROCm {rocm} is not known here.",
        "Run `graph-probe capture` on a GPU: it tells from what the runtime does.",
    )


def _is_of_another(
    runtime: Runtime, known: HipBuild | None, release: Release, builds: Sequence[HipBuild]
) -> bool:
    """Whether a runtime is surely not of a ROCm release."""
    if known is None or not runtime.hip:
        return known is not None or bool(runtime.hip and runtime.hip[:2] != release[:2])
    # A release after the last that is known to have this build may have it too, unless a later
    # build is known to have come by then.
    expected = hip_builds.of_release(builds, release)
    return known.hip != (expected.hip if expected else None)
