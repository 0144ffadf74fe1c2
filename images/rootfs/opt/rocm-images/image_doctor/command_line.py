"""The command line: what to examine, how to print it, and the exit code."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from image_doctor import all_checks, report
from image_doctor.image import Image
from image_doctor.variable_check import check_variable
from image_facts.foreign import shown
from image_servers import SERVERS

BAD_ARGUMENTS = 2

DESCRIPTION = """Says whether this image fits together: packages, code objects, libraries, the HIP
runtime, the environment, the GPUs. Exit codes: 0 no check failed, 1 a check failed, 2 bad
arguments."""


class _BadArguments(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _BadArguments(message)


def _parser() -> _Parser:
    shared = _Parser(add_help=False)
    # A default here would overwrite what was given before the command.
    shared.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help="print one JSON object for machines",
    )
    shared.add_argument(
        "--root",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="DIR",
        help="the image's root folder (default: /)",
    )
    parser = _Parser(prog="image-doctor", description=DESCRIPTION, parents=[shared])
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    variable = commands.add_parser(
        "variable",
        parents=[shared],
        help="only: does the server still read the variable of its all-reduce, and obey it?",
    )
    variable.add_argument(
        "--source",
        type=Path,
        metavar="DIR",
        help="a source tree or a wheel of the server (default: the installed one)",
    )
    variable.add_argument(
        "--server",
        choices=sorted(SERVERS),
        help="which server the source is of (default: the image's, else the one that is in it)",
    )
    return parser


def main(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Run the asked checks and print them; returns the exit code."""
    try:
        options = _parser().parse_args(arguments)
        root = _existing(getattr(options, "root", Path("/")), "--root", folder=True)
        source = getattr(options, "source", None)
        if source is not None:
            source = _existing(source, "--source", folder=False)
    except _BadArguments as problem:
        print(f"image-doctor: {problem}. See image-doctor --help.", file=sys.stderr)
        return BAD_ARGUMENTS
    image = Image(root, os.environ if environment is None else environment)
    if options.command == "variable":
        checks = [check_variable(image, source, SERVERS.get(options.server))]
    else:
        checks = all_checks.run(image)
    cell = image.facts.cell
    if getattr(options, "json", False):
        text = json.dumps(report.as_json(cell, checks), indent=2)
    else:
        text = report.as_text(cell, checks)
    try:
        print(shown(text), flush=True)
    except BrokenPipeError:
        # The reader has seen enough; the interpreter must not flush again at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return report.exit_code(checks)


def _existing(path: Path, option: str, folder: bool) -> Path:
    try:
        found = path.is_dir() if folder else path.exists()
    except (OSError, ValueError):
        found = False
    if not found:
        raise _BadArguments(f"{option} {path} is no {'folder' if folder else 'file or folder'}")
    return path.resolve()
