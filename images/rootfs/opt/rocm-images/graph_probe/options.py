"""The arguments of graph-probe, checked, as one frozen value."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple, NoReturn

from graph_probe import model
from graph_probe.argument_types import number, seconds
from graph_probe.exit_codes import MEANING, ExitCode, ProbeError
from graph_probe.sabotage import Sabotage

SERVE, JUDGE = "serve", "judge"
_STEPS_OF_FRESH = 16  # 352 nodes a graph


class Options(NamedTuple):
    """`devices` None means every visible one. `timeout` is in seconds, for all of it.

    `only` names the parts of `run` that are done; empty means all of them.
    """

    command: str
    backend: str
    gfx: str | None
    json: bool
    timeout: float
    devices: int | None = None
    batches: tuple[int, ...] = ()
    steps: int = 0
    watchdog: bool = False
    sabotage: Sabotage | None = None
    only: tuple[str, ...] = ()
    graph_steps: int = 1
    """Decode steps in each graph: of a few hundred nodes some runtimes replay what is wrong."""
    fresh: int = 1
    """Processes that decode, one after the other."""

    @property
    def decodes(self) -> bool:
        return self._does("decode")

    @property
    def replays(self) -> bool:
        return self._does("replay")

    @property
    def captures(self) -> bool:
        return self._does("capture")

    def _does(self, part: str) -> bool:
        return self.command == part or (
            self.command == "run" and (not self.only or part in self.only)
        )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sentence = f"{message[:1].upper()}{message[1:]}. See {self.prog} --help."
        raise ProbeError(ExitCode.BAD_ARGUMENTS, sentence)


def parse(arguments: Sequence[str]) -> Options:
    """Raises ProbeError BAD_ARGUMENTS with a sentence; --help exits as argparse does."""
    values = vars(_parser().parse_args(arguments))
    for name in ("batches", "only"):
        values[name] = tuple(dict.fromkeys(values.get(name, ())))
    fresh = values.setdefault("fresh", 1)
    values["graph_steps"] = values.get("graph_steps") or (_STEPS_OF_FRESH if fresh > 1 else 1)
    options = Options(**values)
    if options.steps % options.graph_steps:
        raise ProbeError(
            ExitCode.BAD_ARGUMENTS,
            f"--steps {options.steps} is no multiple of the {options.graph_steps} steps of each "
            "graph: change either (--graph-steps).",
        )
    if options.sabotage is Sabotage.WRONG_FRESH and fresh < 2:
        raise ProbeError(
            ExitCode.BAD_ARGUMENTS,
            "The sabotage wrong-fresh is one of `decode --fresh N` with N of 2 or more.",
        )
    if options.sabotage and not options.replays and options.sabotage is Sabotage.WRONG_REPLAY:
        raise _useless("replays")
    if options.sabotage and not options.decodes and options.sabotage is not Sabotage.WRONG_REPLAY:
        raise _useless("decodes")
    return options


def _useless(what: str) -> ProbeError:
    sentence = f"That sabotage breaks what only another command {what}. See graph-probe --help."
    return ProbeError(ExitCode.BAD_ARGUMENTS, sentence)


def _parser() -> _Parser:
    codes = "\n".join(f"  {int(code):3d}  {text}" for code, text in MEANING.items())
    parser = _Parser(
        prog="graph-probe",
        description="Finds out from the GPU runtime really loaded whether a graph capture "
        "survives a watchdog thread and whether replays are right, and runs a graph-captured "
        "tensor-parallel decode.",
        epilog=f"exit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = _Parser(add_help=False)
    common.add_argument("--backend", choices=("auto", "hip", "cuda"), default="auto")
    common.add_argument("--gfx", help="the gfx that must be found; default: what the image says")
    common.add_argument("--json", action="store_true", help="one JSON object on standard output")
    common.add_argument(
        "--timeout", type=seconds, default=120.0, help="seconds for all of it (default: 120)"
    )
    breaking = _Parser(add_help=False)
    breaking.add_argument(
        "--sabotage",
        type=_sabotage,
        metavar="KIND",
        help="break it on purpose: " + ", ".join(kind.value for kind in Sabotage),
    )
    decoding = _Parser(add_help=False)
    decoding.add_argument(
        "--devices", type=number(1, model.MAXIMUM_RANKS), help="how many (default: all visible)"
    )
    decoding.add_argument(
        "--batch",
        dest="batches",
        type=number(1, model.MAXIMUM_BATCH),
        nargs="+",
        default=[1, 2, 4, 8],
        metavar="SIZE",
        help="batch sizes, one graph each (default: 1 2 4 8)",
    )
    decoding.add_argument(
        "--steps",
        type=number(1, model.MAXIMUM_STEPS),
        default=64,
        help="tokens a row (default: 64)",
    )
    decoding.add_argument(
        "--graph-steps",
        type=number(1, model.MAXIMUM_STEPS),
        help=f"decode steps in each graph (default: 1; with --fresh {_STEPS_OF_FRESH})",
    )
    add = commands.add_parser
    add("capture", parents=[common], help="whether a watchdog thread can kill a capture")
    add("replay", parents=[common, breaking], help="whether replays give what they must")
    decode = add("decode", parents=[common, decoding, breaking], help="the graph-captured decode")
    decode.add_argument(
        "--watchdog", action="store_true", help="query events at every step of each capture"
    )
    decode.add_argument(
        "--fresh",
        type=number(1, 100),
        default=1,
        metavar="N",
        help="decode in that many processes, one after the other: some runtimes replay graphs "
        "wrong in one of a few",
    )
    run = add(
        "run",
        parents=[common, decoding, breaking],
        help="all three, and the judgement of this image",
    )
    run.add_argument(
        "--only",
        nargs="+",
        choices=("capture", "replay", "decode"),
        default=[],
        metavar="PART",
        help="only these of capture, replay, decode; the judgement needs capture",
    )
    add(
        SERVE,
        add_help=False,
        help="a server with captured graphs: graph-probe serve --help",
    )
    add(
        JUDGE,
        add_help=False,
        help="what became of a server, by its log: graph-probe judge FILE",
    )
    return parser


def _sabotage(text: str) -> Sabotage:
    try:
        return Sabotage(text)
    except ValueError:
        kinds = ", ".join(kind.value for kind in Sabotage)
        raise argparse.ArgumentTypeError(f"{text} is none of {kinds}") from None
