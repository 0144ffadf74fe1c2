"""Which gfx the image was built for, from the description that the build leaves in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from graph_probe.exit_codes import ExitCode, ProbeError

PATH_VARIABLE = "GRAPH_PROBE_IMAGE_JSON"
DEFAULT_PATH = "/opt/rocm-images/image.json"


def expected_gfx(asked: str | None, environment: Mapping[str, str]) -> str | None:
    """`asked` if given, else "gfx" of the image's description; None where there is neither.

    Raises ProbeError BAD_ARGUMENTS where the description cannot be read or names no gfx.
    """
    if asked:
        return asked
    path = Path(environment.get(PATH_VARIABLE) or DEFAULT_PATH)
    try:
        described = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ProbeError(
            ExitCode.BAD_ARGUMENTS, f"{path} cannot be read as JSON: {error}. Rebuild the image."
        ) from None
    gfx = described.get("gfx") if isinstance(described, dict) else None
    if not isinstance(gfx, str) or not gfx.startswith("gfx"):
        raise ProbeError(
            ExitCode.BAD_ARGUMENTS,
            f'{path} has no "gfx" like "gfx942". Rebuild the image, or pass --gfx.',
        )
    return gfx
