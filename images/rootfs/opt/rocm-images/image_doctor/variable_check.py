"""Checks that SGLang still reads SGLANG_USE_AITER_AR and still dispatches by it."""

from __future__ import annotations

from pathlib import Path

from image_doctor.check import Check, failed, not_run, passed
from image_doctor.image import REBUILD, Image
from image_doctor.source_tree import NoSource
from image_doctor.variable import DISPATCH, VARIABLE, examine

NAME = "all-reduce-variable"
ADVICE = (
    f"Without {VARIABLE} the image cannot choose the all-reduce: find what replaced it, and change "
    "the matrix, or use a release of SGLang from 0.5.5.post3 on that has it."
)


def check_variable(image: Image, source: Path | None = None) -> Check:
    """Examine `source`, by default the installed SGLang."""
    place = source
    if place is None:
        if image.site_packages is None:
            return not_run(NAME, "there is no /opt/venv with Python packages.", REBUILD)
        place = image.site_packages / "sglang"
    try:
        finding = examine(place)
    except NoSource as error:
        return failed(NAME, f"{error}.", "Give a source tree or a wheel of SGLang with --source.")
    if finding.problem:
        return failed(NAME, f"{finding.problem}.", ADVICE)
    default = {True: "true", False: "false", None: "not given"}[finding.default]
    return passed(
        NAME,
        f"{VARIABLE} is read at {', '.join(read.place for read in finding.reads)}, its default is "
        f"{default}, and {DISPATCH} ({finding.dispatch}) depends on it.",
    )
