"""`graph-probe judge`: says of any server's log what became of the server, and what to do next.

It needs no GPU, no server and no image: a log that somebody sent is enough.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

from graph_probe.exit_codes import MEANING, ExitCode, ProbeError
from graph_probe.telling import say
from image_servers import SERVERS
from serve_probe.judge import judge_log
from serve_probe.log_file import read_log
from serve_probe.report import SCHEMA_VERSION, verdict_json
from serve_probe.server_log import ServerLog
from serve_probe.verdict import EXIT_OF_STATE, Ending, State, Verdict

_STANDARD_INPUT = "-"
_OF_A_SHELL = 128
_LOGS = {one.name: one.log for one in SERVERS.values()}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        sentence = f"{message[:1].upper()}{message[1:]}. See {self.prog} --help."
        raise ProbeError(ExitCode.BAD_ARGUMENTS, sentence)


class Judged(NamedTuple):
    """One log and its verdict; `server` is whose log it was taken for."""

    file: str
    server: str
    verdict: Verdict


def main(arguments: Sequence[str]) -> int:
    """Runs `graph-probe judge`; returns the exit code of the first log that shows a failure."""
    as_json, found = "--json" in arguments, []
    try:
        options = _parser().parse_args(arguments)
        ending = Ending(_status(options.status), options.stopped, options.overdue)
        said = _LOGS.get(options.server)
        for name in dict.fromkeys(options.files):
            log = ServerLog(_text(name), said)
            found.append(Judged(name, log.said.title, judge_log(log, ending)))
            if not as_json:
                say(_as_text(found[-1]))
        first = next((one for one in found if one.verdict.state is not State.READY), found[0])
        code, sentence = EXIT_OF_STATE[first.verdict.state], first.verdict.sentence
    except ProbeError as error:
        first, code, sentence = None, error.code, error.sentence
        if not as_json:
            say(sentence, sys.stderr)
    if as_json:
        say(json.dumps(_document(found, first, code, sentence), indent=2))
    return int(code)


def _document(
    found: list[Judged], first: Judged | None, code: ExitCode, sentence: str
) -> dict[str, object]:
    """The keys of the first failure's verdict, and `files` with those of each."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": "judge",
        "exit_code": int(code),
        "exit_name": code.name.lower(),
        **({**_one(first)} if first else {"sentence": sentence}),
        "files": [_one(judged) for judged in found],
    }


def _one(judged: Judged) -> dict[str, object]:
    return {"file": judged.file, "server": judged.server, **verdict_json(judged.verdict)}


def _as_text(judged: Judged) -> str:
    verdict = judged.verdict
    cause = f" ({verdict.cause})" if verdict.cause else ""
    lines = [f"{judged.file}: {verdict.state}{cause}", _wrapped("  ", verdict.sentence)]
    if verdict.line:
        lines.append(_wrapped("  line        ", verdict.line))
    if verdict.advisories:
        named = f"{', '.join(verdict.advisories)} (docs/advisories.md)"
        lines.append(_wrapped("  advisories  ", named))
    if verdict.cause:
        lines.append(f"  more        docs/crashes.md#{verdict.cause}")
    return "\n".join(lines)


def _wrapped(before: str, text: str) -> str:
    """Lines of a terminal's width where this is read at one: a log is searched by line."""
    if not sys.stdout.isatty():
        return before + text
    return textwrap.fill(
        text,
        max(shutil.get_terminal_size().columns, 2 * len(before)),
        initial_indent=before,
        subsequent_indent=" " * len(before),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _text(name: str) -> str:
    """Raises ProbeError BAD_ARGUMENTS where a log cannot be read."""
    try:
        if name == _STANDARD_INPUT:
            return read_log(sys.stdin.buffer)
        with Path(name).open("rb") as file:
            return read_log(file)
    except OSError as error:
        raise ProbeError(
            ExitCode.BAD_ARGUMENTS,
            f"{name} cannot be read: {error.strerror}. Name a log file, or - for standard input.",
        ) from None


def _status(status: int | None) -> int | None:
    """A shell and a container engine give 128 and the signal's number where Python gives it below
    zero. What is more than any signal's, as 255 is, a program gave itself."""
    if status is not None and _OF_A_SHELL < status < _OF_A_SHELL + signal.NSIG:
        return _OF_A_SHELL - status
    return status


def _parser() -> _Parser:
    codes = sorted({int(code) for code in EXIT_OF_STATE.values()})
    parser = _Parser(
        prog="graph-probe judge",
        description="Says of the log of a server, from anywhere, what became of the server, where, "
        "and what to do next. What kubectl, compose or journald put before each line does no harm.",
        epilog="exit codes:\n"
        + "\n".join(f"  {code:3d}  {MEANING[ExitCode(code)]}" for code in codes),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("files", nargs="+", metavar="FILE", help="a log; - is standard input")
    add("--json", action="store_true", help="one JSON object on standard output")
    add("--server", choices=sorted(_LOGS), help="whose log it is (default: found from the log)")
    add(
        "--status",
        type=int,
        metavar="N",
        help="the exit status of the server or of its container, where it is known",
    )
    add("--overdue", action="store_true", help="it did not become ready, or answer, in time")
    add("--stopped", action="store_true", help="it was stopped on purpose")
    return parser
