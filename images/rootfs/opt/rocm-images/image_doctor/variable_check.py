"""Checks that the server still reads the variable of its all-reduce and still dispatches by it."""

from __future__ import annotations

from pathlib import Path

from image_doctor.check import Check, failed, not_run, passed
from image_doctor.image import REBUILD, Image
from image_doctor.source_tree import NoSource
from image_doctor.variable import examine

NAME = "all-reduce-variable"


def check_variable(image: Image, source: Path | None = None) -> Check:
    """Examine `source`, by default the installed server."""
    server = image.server
    variable, title = server.all_reduce, server.title
    place = source
    if place is None:
        if image.site_packages is None:
            return not_run(NAME, "there is no /opt/venv with Python packages.", REBUILD)
        place = image.site_packages / server.package
    try:
        finding = examine(place, server)
    except NoSource as error:
        return failed(NAME, f"{error}.", f"Give a source tree or a wheel of {title} with --source.")
    if finding.problem:
        return failed(
            NAME,
            f"{finding.problem}.",
            f"Without {variable.name} the image cannot choose the all-reduce: find what replaced "
            f"it, and change the matrix, or use a {title} from {variable.since} on that has it.",
        )
    default = {True: "true", False: "false", None: "not given"}[finding.default]
    return passed(
        NAME,
        f"{variable.name} is read at {', '.join(read.place for read in finding.reads)}, its "
        f"default is {default}, and {variable.dispatch} ({finding.dispatch}) depends on it.",
    )
