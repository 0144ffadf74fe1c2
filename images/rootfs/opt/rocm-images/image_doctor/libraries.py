"""Checks that the server's kernels were prebuilt, and that every library finds those it needs."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from image_doctor.check import Check, failed, first_few, not_run, passed
from image_doctor.image import REBUILD, Image


def check_prebuilt_kernels(image: Image) -> Check:
    """What is to be compiled beforehand is there.

    An install without it compiles for minutes at the first request, longer than a server's
    watchdog waits (sgl-project/sglang#20195).
    """
    name, whose = "prebuilt-kernels", image.server.prebuilt
    if whose is None:
        return passed(name, f"{image.server.title} compiles nothing at its first request.")
    found = len(image.shared_objects(*image.server.kernels[whose]))
    counted = f"{whose} has {found} prebuilt {'library' if found == 1 else 'libraries'}"
    if not found:
        return failed(
            name,
            f"{counted}.",
            "Rebuild with PREBUILD_KERNELS=1 and with torch installed in the build stage: without "
            f"it {whose} skips the prebuild silently.",
        )
    return passed(name, f"{counted}.")


def check_shared_libraries(image: Image) -> Check:
    """ldd finds every library that the server's kernels need.

    These are loaded after torch, so what lies in torch/lib and /opt/rocm/lib counts as found even
    without an RPATH.
    """
    name = "shared-libraries"
    ldd = shutil.which("ldd")
    if ldd is None:
        return not_run(name, "ldd is not installed.", "Install libc-bin.")
    kernels = image.server.kernels
    if not kernels:
        return passed(name, f"{image.server.title} has no kernels of its own.")
    files = image.shared_objects(*(folder for folders in kernels.values() for folder in folders))
    if not files:
        return not_run(name, f"{' and '.join(kernels)} have no libraries.", REBUILD)
    missing, unreadable = _unresolved(ldd, files, image)
    if missing or unreadable:
        found = [f"{library} is not found, {image.shown(Path(users[0]))} needs it"
                 + (f" and {len(users) - 1} more" if len(users) > 1 else "")
                 for library, users in missing.items()]  # fmt: skip
        found += [f"{image.shown(Path(path))} cannot be loaded" for path in unreadable]
        return failed(name, first_few(found) + ".", REBUILD)
    return passed(name, f"{len(files)} libraries find all that they need.")


def _unresolved(
    ldd: str, files: list[Path], image: Image
) -> tuple[dict[str, list[str]], list[str]]:
    """Library -> the files that miss it, and the files that ldd cannot read."""
    folders = [str(image.path("/opt/rocm/lib"))]
    if image.site_packages is not None:
        folders.insert(0, str(image.site_packages / "torch" / "lib"))
    given = image.environment.get("LD_LIBRARY_PATH", "")
    answer = subprocess.run(
        [ldd, *map(str, files)],
        env={
            **image.environment,
            "LC_ALL": "C",
            "LD_LIBRARY_PATH": ":".join([*filter(None, [given]), *folders]),
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
        check=False,
    )
    missing: dict[str, list[str]] = {}
    answered = set()
    # With one file ldd prints no heading.
    current = str(files[0])
    for line in answer.stdout.splitlines():
        if not line.startswith("\t"):
            current = line.rstrip(":")
            continue
        if "not a dynamic executable" not in line:
            answered.add(current)
        if "not found" in line:
            missing.setdefault(line.split()[0], []).append(current)
    return missing, [path for path in map(str, files) if path not in answered]
