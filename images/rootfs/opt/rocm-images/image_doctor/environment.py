"""Checks the image's description, its ROCm release, and the environment that it was given."""

from __future__ import annotations

from image_doctor.check import Check, failed, first_few, not_run, passed, warned
from image_doctor.image import REBUILD, Image
from image_facts.description import MOST_BYTES, PLACE, FactsError, NoFile, read
from image_facts.foreign import content_of

NEEDED = ("cell", "gfx", "rocm", "server", "versions")
RELEASE = "/opt/rocm/.info/version"


def check_description(image: Image) -> Check:
    """image.json is there and has what the other checks compare with."""
    name = "description"
    try:
        facts = read(image.root / PLACE)
    except NoFile:
        return failed(name, f"there is no /{PLACE}: this is no image of ours.", REBUILD)
    except FactsError as error:
        return failed(name, f"{error}.", REBUILD)
    missing = [key for key in NEEDED if not getattr(facts, key)]
    if missing:
        return failed(name, f"/{PLACE} does not name {', '.join(missing)}.", REBUILD)
    return passed(name, f"{facts.cell}, for {facts.gfx}.")


def check_rocm_release(image: Image) -> Check:
    """The release file of /opt/rocm names the ROCm release of the image."""
    name = "rocm-release"
    expected = image.facts.rocm
    if expected is None:
        return not_run(name, "image.json names no ROCm release to compare with.", REBUILD)
    try:
        found = content_of(image.path(RELEASE), MOST_BYTES).decode().strip()
    except (OSError, ValueError) as error:
        return failed(name, f"{RELEASE} cannot be read: {error}.", REBUILD)
    # A release can carry a build number behind a dash.
    if found.split("-")[0] != expected:
        return failed(
            name, f"{RELEASE} says {found or 'nothing'}, the image says ROCm {expected}.", REBUILD
        )
    return passed(name, f"ROCm {found}.")


def check_environment(image: Image) -> Check:
    """The variables are those that the image sets; a changed one is the user's choice."""
    name = "environment"
    if "GPU_ARCHS" in image.environment:
        return failed(
            name,
            f"GPU_ARCHS is set to {image.environment['GPU_ARCHS']!r}: AITER trusts it more than "
            "the GPU that is there and then compiles for the wrong one.",
            "Unset GPU_ARCHS.",
        )
    expected = image.facts.env
    if not expected:
        return not_run(name, "image.json has no env to compare with.", REBUILD)
    changed = []
    for variable, value in sorted(expected.items()):
        found = image.environment.get(variable)
        if found is None:
            changed.append(f"{variable} is not set, the image sets {value}")
        elif found != value:
            changed.append(f"{variable} is {found}, the image sets {value}")
    if changed:
        return warned(
            name,
            first_few(changed, len(changed)) + ".",
            "Keep it if you changed it on purpose; otherwise start the container without it.",
        )
    return passed(name, f"{len(expected)} variables are as the image sets them.")
