"""What the probe takes from the image's description: its gfx, and the releases of HIP."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from graph_probe.exit_codes import ExitCode, ProbeError
from image_facts.description import PLACE, Facts, FactsError, NoFile, of_object, read, read_or_empty
from image_facts.foreign import parsed

PATH_VARIABLE = "GRAPH_PROBE_IMAGE_JSON"
ELSE_VARIABLE = "GRAPH_PROBE_FACTS"
"""For an image without facts about HIP: the JSON that has them. `build.py probe` sets it."""


def expected_gfx(asked: str | None, environment: Mapping[str, str]) -> str | None:
    """`asked` if given, else "gfx" of the image's description; None where there is neither.

    Raises ProbeError BAD_ARGUMENTS where the description cannot be used or names no gfx.
    """
    if asked:
        return asked
    path = _path(environment)
    try:
        gfx = read(path).gfx
    except NoFile:
        return None
    except FactsError as error:
        raise ProbeError(ExitCode.BAD_ARGUMENTS, f"{error}. Rebuild the image.") from None
    if gfx is None or not gfx.startswith("gfx"):
        raise ProbeError(
            ExitCode.BAD_ARGUMENTS,
            f'{path} has no "gfx" like "gfx942". Rebuild the image, or pass --gfx.',
        )
    return gfx


def known_facts(environment: Mapping[str, str]) -> Facts:
    """Facts that name HIP's releases: the image's, or those that the environment gives, if any."""
    facts = read_or_empty(_path(environment))
    if facts.hip_builds:
        return facts
    try:
        return of_object(parsed(environment.get(ELSE_VARIABLE) or "{}"))
    except (ValueError, FactsError):
        return facts


def _path(environment: Mapping[str, str]) -> Path:
    return Path(environment.get(PATH_VARIABLE) or f"/{PLACE}")
