"""Checks whether the image has the capture guard, and whether it is on in this process."""

from __future__ import annotations

from pathlib import Path

from image_doctor.check import Check, failed, not_run, passed, warned
from image_doctor.image import REBUILD, Image

VARIABLE = "CAPTURE_GUARD"
LIBRARY = "/opt/rocm-images/lib/libcapture_guard.so"
MAPS = Path("/proc/self/maps")


def check_capture_guard(image: Image) -> Check:
    """The guard is there where image.json says so, and on where it was asked for."""
    name = "capture-guard"
    expected = image.facts.capture_guard
    if expected is None:
        return not_run(name, "image.json does not say whether there is one.", REBUILD)
    asked = image.environment.get(VARIABLE, "")
    if asked not in ("", "0", "1"):
        return failed(name, f"{VARIABLE} is {asked!r}.", "Write 1 for on or 0 for off.")
    if not expected:
        found = "this image has none: its ROCm release does not need one"
        if asked == "1":
            return warned(name, f"{VARIABLE} is 1, but {found}.", f"Leave {VARIABLE} out.")
        return passed(name, f"{found}.")
    if not image.path(LIBRARY).is_file():
        return failed(name, f"there is no {LIBRARY}.", REBUILD)
    if any(line.endswith(LIBRARY) for line in MAPS.read_text().splitlines()):
        return passed(name, "on in this process.")
    if asked == "1":
        return warned(
            name,
            f"{VARIABLE} is 1, but the guard is not loaded here: this process was started past the "
            "entrypoint, as docker exec and the command of a Kubernetes container do.",
            f"Start programs as `rocm-entrypoint PROGRAM ...`, or set LD_PRELOAD={LIBRARY}.",
        )
    return passed(name, f"there, and off; {VARIABLE}=1 turns it on.")
