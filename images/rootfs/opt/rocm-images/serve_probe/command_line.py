"""The command line of `graph-probe serve`: parses, runs, prints, and chooses the exit code."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from graph_probe import image
from graph_probe.exit_codes import ExitCode, ProbeError
from graph_probe.telling import say
from image_facts.whole_file import write_whole
from image_servers import server_of
from serve_probe import machine, report
from serve_probe.findings import ServeFindings
from serve_probe.options import Options, parse
from serve_probe.server import Servers, Stopped
from serve_probe.serving import Place
from serve_probe.session import Session, conclude
from serve_probe.tiny_model import write_model

_SIGNALS = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
    signal.SIGHUP: ExitCode.HANGUP,
}
_POLL_SECONDS = 0.1


class _Ended:
    """The signal that came, noted by the handler, acted on by the main thread's loop."""

    number: signal.Signals | None = None

    def note(self, number: int, _: FrameType | None) -> None:
        self.number = signal.Signals(number)


def main(arguments: Sequence[str]) -> int:
    """Runs `graph-probe serve` with these arguments; returns its exit code."""
    started = time.monotonic()
    findings = ServeFindings()
    own = arguments[: list(arguments).index("--")] if "--" in arguments else arguments
    as_json, output = "--json" in own, None
    try:
        options = parse(arguments)
        output = options.output
        _run(options, findings, started)
        code, sentence = conclude(findings)
    except ProbeError as error:
        code, sentence = error.code, error.sentence
    findings.seconds = time.monotonic() - started
    document = report.as_json(findings, code, sentence)
    if output is not None:
        try:
            _write(output, document)
        except OSError as error:
            code, sentence = ExitCode.BAD_ARGUMENTS, _unwritable(output, error)
            document = report.as_json(findings, code, sentence)
    if as_json:
        say(json.dumps(document, indent=2))
    else:
        result = f"result   exit {int(code)} after {findings.seconds:.1f} s: {sentence}"
        say(result, sys.stdout if code is ExitCode.PASS else sys.stderr)
    return int(code)


def _run(options: Options, findings: ServeFindings, started: float) -> None:
    def found(text: str) -> None:
        findings.seconds = time.monotonic() - started
        if options.output is not None:
            _write(options.output, report.as_json(findings, None, "It is not finished."))
        if not options.json:
            say(text)

    if options.output is not None:
        try:
            _write(options.output, report.as_json(findings, None, "It is not finished."))
        except OSError as error:
            raise ProbeError(ExitCode.BAD_ARGUMENTS, _unwritable(options.output, error)) from None
    gfx = image.expected_gfx(options.gfx, os.environ)
    server = server_of(options.server or image.known_facts(os.environ).server)
    findings.machine = machine.describe(options.backend, gfx, server)
    count = len(findings.machine.devices)
    if options.sizes and max(options.sizes) > count:
        raise ProbeError(
            ExitCode.BAD_ARGUMENTS,
            f"--tp {max(options.sizes)} asks for more than the {count} visible GPUs.",
        )
    found(report.machine_text(findings.machine))
    with tempfile.TemporaryDirectory(prefix="serve-probe-") as folder:
        logs, model = Path(options.logs or Path(folder, "logs")), Path(folder, "model")
        try:
            logs.mkdir(parents=True, exist_ok=True)
            model.mkdir()
            write_model(model)
        except OSError as error:
            raise ProbeError(ExitCode.BAD_ARGUMENTS, _unwritable(logs, error)) from None
        place = Place(
            server,
            model,
            logs,
            findings.machine.runtime.backend,
            options.ready_timeout,
            options.server_arguments,
            machine.declared_all_reduce(findings.machine, server, os.environ),
        )
        servers = Servers()
        _watched(Session(servers, options, place, findings, found), servers, options.timeout)


def _watched(session: Session, servers: Servers, seconds: float) -> None:
    """Run a session in a thread of its own; end it and every server at a signal or the deadline.

    The servers are children of that thread's, and the kernel kills them when it ends.
    """
    failed: list[BaseException] = []

    def work() -> None:
        try:
            session.run()
        except BaseException as error:
            failed.append(error)

    ended = _Ended()
    handlers = {number: signal.signal(number, ended.note) for number in _SIGNALS}
    deadline = time.monotonic() + seconds
    worker = threading.Thread(target=work, name="session", daemon=True)
    try:
        worker.start()
        while worker.is_alive() and ended.number is None and time.monotonic() < deadline:
            worker.join(_POLL_SECONDS)
        late = worker.is_alive()
    finally:
        servers.close()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    worker.join(_POLL_SECONDS * 100)
    if ended.number is not None:
        sentence = f"Ended by {ended.number.name}; no server is left."
        raise ProbeError(_SIGNALS[ended.number], sentence)
    if late:
        raise ProbeError(
            ExitCode.HUNG_AND_KILLED,
            f"No end within {seconds:g} s, so every server was killed. Give it longer with "
            "--timeout, or less to do with --tp.",
        )
    if failed and not isinstance(failed[0], Stopped):
        raise failed[0]


def _write(path: Path, document: dict[str, object]) -> None:
    write_whole(path, json.dumps(document, indent=2) + "\n")


def _unwritable(path: Path, error: OSError) -> str:
    return f"{path} cannot be written: {error.strerror}. Name another place."
