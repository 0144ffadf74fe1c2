"""Checks that the server still reads the variable of its all-reduce and still dispatches by it."""

from __future__ import annotations

from pathlib import Path

from image_doctor.check import Check, failed, not_run, passed, warned
from image_doctor.image import REBUILD, Image
from image_doctor.source_tree import NoSource, holds
from image_doctor.variable import Finding, examine
from image_servers import SERVERS, AllReduceVariable, Server

NAME = "all-reduce-variable"
_DEFAULT = {True: "true", False: "false", None: "not given"}


def check_variable(image: Image, source: Path | None = None, server: Server | None = None) -> Check:
    """Examine `source`, by default the installed server.

    Without `server`, a source is read as the image's server; where it does not hold that one's
    package, as the server whose package it holds.
    """
    server = server or _server_in(source, image.server)
    variable, title = server.all_reduce, server.title
    place = source
    if place is None:
        if image.site_packages is None:
            return not_run(NAME, "there is no /opt/venv with Python packages.", REBUILD)
        place = image.site_packages / server.package
    # Of a source that is given, the image does not know the release.
    version = image.facts.server_version if source is None and server is image.server else None
    try:
        findings = examine(place, server)
    except NoSource as error:
        return failed(NAME, f"{error}.", f"Give a source tree or a wheel of {title} with --source.")
    if not variable.is_read_by(version) and findings[0].readable:
        return _check_unread(findings[0], f"{title} {version}", variable)
    for finding in findings:
        if finding.problem:
            return failed(
                NAME,
                f"{finding.problem}.",
                f"Without {finding.variable} the image cannot choose the all-reduce: find what "
                "replaced it, and change the matrix, or use a "
                f"{title} from {variable.since} on that has it.",
            )
    said = " ".join(
        f"{one.variable} is read at {', '.join(read.place for read in one.reads)}, its default is "
        f"{_DEFAULT[one.default]}, and {variable.dispatch} ({one.dispatch}) depends on it."
        for one in findings
    )
    known = [variable.switch, *variable.requires]
    for one, switch in zip(findings, known, strict=True):
        if one.default is not None and one.default is not switch.read({})[0]:
            return warned(
                NAME,
                f"{said} Of {one.variable} another default is known here: {switch.default}.",
                "Set it, and report this: what is said of an image that does not set it is wrong.",
            )
    return passed(NAME, said)


def _server_in(source: Path | None, assumed: Server) -> Server:
    if source is None:
        return assumed
    known = (assumed, *SERVERS.values())
    return next((one for one in known if holds(source, one.package)), assumed)


def _check_unread(finding: Finding, release: str, variable: AllReduceVariable) -> Check:
    if finding.reads:
        places = ", ".join(read.place for read in finding.reads)
        return failed(
            NAME,
            f"{finding.variable} is read at {places}, though {release} is known to read it from "
            f"{variable.since} on alone.",
            "Report this: the image leaves a setting out that this release obeys.",
        )
    return passed(NAME, f"{release} has no choice of its all-reduce: it reads no such variable.")
