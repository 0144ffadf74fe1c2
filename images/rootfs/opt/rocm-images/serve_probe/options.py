"""The arguments of `graph-probe serve`, checked, as one frozen value."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from graph_probe.argument_types import number, seconds
from graph_probe.exit_codes import ExitCode, ProbeError
from image_servers import DEFAULT, SERVERS
from serve_probe.provocation import PROVOCATIONS, Kind

SIZES = (1, 2, 4, 8)
_ALL = "all"


class Options(NamedTuple):
    """`sizes` None means each of SIZES that the visible GPUs allow. Seconds throughout.

    `server` None: the image's own.
    """

    server: str | None
    backend: str
    gfx: str | None
    json: bool
    timeout: float
    ready_timeout: float
    sizes: tuple[int, ...] | None
    race: bool
    roots: bool
    fresh: int
    provoke: tuple[Kind, ...]
    jobs: int | None
    logs: Path | None
    output: Path | None
    server_arguments: tuple[str, ...]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sentence = f"{message[:1].upper()}{message[1:]}. See {self.prog} --help."
        raise ProbeError(ExitCode.BAD_ARGUMENTS, sentence)


def parse(arguments: Sequence[str]) -> Options:
    """Raises ProbeError BAD_ARGUMENTS with a sentence; --help exits as argparse does."""
    own, _, rest = _split(arguments)
    values = vars(_parser().parse_args(own))
    kinds = values.pop("provoke") or []
    provoke = tuple(Kind) if _ALL in kinds else tuple(Kind(kind) for kind in dict.fromkeys(kinds))
    sizes = values.pop("tp")
    if provoke and values["race"]:
        raise ProbeError(
            ExitCode.BAD_ARGUMENTS,
            "--provoke starts servers of its own: leave out --race.",
        )
    if provoke and sizes:
        _check_ranks(provoke, sizes)
    if values["roots"] and (provoke or values["race"]):
        raise ProbeError(
            ExitCode.BAD_ARGUMENTS,
            "--roots looks at the graphs of plain servers: leave out --provoke and --race.",
        )
    if values["fresh"] > 1 and (provoke or values["race"]):
        raise ProbeError(
            ExitCode.BAD_ARGUMENTS,
            "--fresh is about plain servers: leave out --provoke and --race.",
        )
    return Options(
        provoke=provoke,
        sizes=tuple(sorted(set(sizes))) if sizes else None,
        server_arguments=tuple(rest),
        **values,
    )


def _check_ranks(provoke: Sequence[Kind], sizes: Sequence[int]) -> None:
    """Raises ProbeError where --tp would say nothing of what is provoked."""
    several = [kind for kind, one in PROVOCATIONS.items() if one.tensor_parallel > 1]
    if 1 in sizes or not set(provoke).intersection(several):
        raise ProbeError(
            ExitCode.BAD_ARGUMENTS,
            "With --provoke, --tp says on how many GPUs a failure of one rank among several is "
            f"provoked: give 2, 4 or 8, with {' or '.join(several)}.",
        )


def _split(arguments: Sequence[str]) -> tuple[list[str], str, list[str]]:
    words = list(arguments)
    if "--" not in words:
        return words, "", []
    at = words.index("--")
    return words[:at], "--", words[at + 1 :]


def _parser() -> _Parser:
    parser = _Parser(
        prog="graph-probe serve",
        description="Starts the server with captured graphs and without, at every tensor-parallel "
        "size that the visible GPUs allow, and compares what the two answer. Arguments after "
        "-- go to the servers.",
    )
    add = parser.add_argument
    add(
        "--tp",
        type=int,
        nargs="+",
        choices=SIZES,
        metavar="SIZE",
        help="only these: 1 2 4 8; with --provoke, of how many ranks one is made to fail "
        "(default: 2)",
    )
    add("--race", action="store_true", help="captures held open beside unfinished NCCL work")
    add("--roots", action="store_true", help="count the roots of each graph that is captured")
    add(
        "--fresh",
        type=number(1, 100),
        default=1,
        metavar="N",
        help="that many servers with graphs at each size, one after the other: some runtimes "
        "replay graphs wrong in one process of a few",
    )
    add(
        "--provoke",
        nargs="+",
        choices=[_ALL, *(kind.value for kind in Kind)],
        metavar="KIND",
        help="make servers fail on purpose, to test the judge: all, "
        + ", ".join(kind.value for kind in Kind),
    )
    add("--jobs", type=number(1, 64), help="provoked servers at once (default: one for each GPU)")
    add(
        "--server",
        choices=sorted(SERVERS),
        help="which one is started (default: the image's own; where no image says it, "
        f"{DEFAULT.name})",
    )
    add("--backend", choices=("auto", "hip", "cuda"), default="auto")
    add("--gfx", help="the gfx that must be found; default: what the image says")
    add("--json", action="store_true", help="one JSON object on standard output")
    add("--output", type=Path, metavar="FILE", help="also write that object here, server by server")
    add("--logs", type=Path, metavar="DIR", help="keep the servers' logs in this folder")
    add(
        "--timeout",
        type=seconds,
        default=5400.0,
        help="seconds for all of it (default: 5400)",
    )
    add(
        "--ready-timeout",
        type=seconds,
        default=900.0,
        help="seconds for one server to become ready; kernels may be compiled (default: 900)",
    )
    return parser
