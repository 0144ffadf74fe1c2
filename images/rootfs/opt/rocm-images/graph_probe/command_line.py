"""The command line: parses, runs a session, judges, prints, and chooses the exit code."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from graph_probe import image, library, report
from graph_probe.exit_codes import MEANING, ExitCode, ProbeError
from graph_probe.findings import Findings
from graph_probe.judgement import judge
from graph_probe.options import JUDGE, SERVE, Options, parse
from graph_probe.replay_cases import ReplayVerdict
from graph_probe.sabotage import Sabotage
from graph_probe.session import Session
from graph_probe.supervisor import Supervisor
from graph_probe.telling import say
from image_servers import server_of

# A launch that blocks would wait for a peer whose own launch comes after it.
_BLOCKING = (
    "CUDA_LAUNCH_BLOCKING",
    "HIP_LAUNCH_BLOCKING",
    "AMD_SERIALIZE_KERNEL",
    "AMD_SERIALIZE_COPY",
)


def main(arguments: Sequence[str]) -> int:
    """Runs graph-probe with these arguments; returns its exit code."""
    if arguments and arguments[0] == SERVE:
        from serve_probe.command_line import main as serve  # it starts servers: a probe of its own

        return serve(arguments[1:])
    if arguments and arguments[0] == JUDGE:
        from serve_probe.judge_command import main as judge_logs  # it needs no runtime at all

        return judge_logs(arguments[1:])
    started = time.monotonic()
    findings = Findings()
    as_json = "--json" in arguments
    command = None
    try:
        options = parse(arguments)
        command = options.command
        if options.fresh > 1:
            _run_fresh(options, findings, started)
        else:
            _run(options, findings)
        code, sentence = conclude(options, findings)
    except ProbeError as error:
        code, sentence = error.code, error.sentence
    findings.seconds["total"] = time.monotonic() - started
    if as_json:
        say(json.dumps(report.as_json(command, findings, code, sentence), indent=2))
    else:
        seconds = findings.seconds["total"]
        result = f"result   exit {int(code)} after {seconds:.1f} s: {sentence}"
        say(result, sys.stdout if code is ExitCode.PASS else sys.stderr)
    return int(code)


def conclude(options: Options, findings: Findings) -> tuple[ExitCode, str]:
    """The exit code and its sentence. Wrong tokens come before an unsafe runtime: what does not
    even decode needs no judgement of its all-reduce. Wrong replays come last: what the image sets
    can mend them, and nothing can mend the others."""
    decode, judgement, capture = findings.decode, findings.judgement, findings.capture
    replay = findings.replay
    wrong = [one.problem for one in findings.fresh if one.problem]
    if 0 < len(wrong) < len(findings.fresh):
        return ExitCode.REPLAY_CORRUPTED, (
            f"{MEANING[ExitCode.REPLAY_CORRUPTED]} {len(wrong)} of {len(findings.fresh)}, without "
            f"an error (advisory replay-corrupted). The first: {wrong[0]} Serve with "
            f"{server_of(image.known_facts(os.environ).server).log.advice.eager}."
        )
    if decode and decode.problem:
        return ExitCode.WRONG_TOKENS, decode.problem
    if judgement:
        if judgement.exit_code is ExitCode.PASS and replay and not replay.right:
            return ExitCode.REPLAY_WRONG, _replays_wrong(replay)
        return judgement.exit_code, judgement.sentence
    if replay and not replay.right:
        return ExitCode.REPLAY_WRONG, _replays_wrong(replay)
    guarded = findings.guarded
    if options.command == "capture" and guarded and not guarded.safe:
        return ExitCode.GUARD_FAILED, MEANING[ExitCode.GUARD_FAILED]
    if options.command == "capture" and guarded and capture and not capture.safe:
        return ExitCode.PASS, "Unsafe runtime, guarded: every watchdog case survived by the guard."
    if options.command == "capture" and capture and not capture.safe:
        bugs = " and ".join(capture.bugs) or "neither A nor B"
        return (
            ExitCode.UNSAFE,
            f"{MEANING[ExitCode.UNSAFE]} Cases failed: {len(capture.killed)}; known bugs "
            f"they show: {bugs}.",
        )
    return ExitCode.PASS, MEANING[ExitCode.PASS]


def _replays_wrong(replay: ReplayVerdict) -> str:
    return f"{MEANING[ExitCode.REPLAY_WRONG]} Wrong: {replay.sentence}."


def _run_fresh(options: Options, findings: Findings, started: float) -> None:
    """The decode in one process after another; what the first finds stands for all."""
    for number in range(1, options.fresh + 1):
        last = options.sabotage is Sabotage.WRONG_FRESH and number == options.fresh
        sabotage = Sabotage.WRONG_TOKEN if last else options.sabotage
        if sabotage is Sabotage.WRONG_FRESH:
            sabotage = None
        one = findings if number == 1 else Findings()
        try:
            left = options.timeout - (time.monotonic() - started)
            if left <= 0:
                raise ProbeError(
                    ExitCode.HUNG_AND_KILLED,
                    f"{number - 1} of {options.fresh} processes ended within {options.timeout:g} "
                    "s: give them more (--timeout).",
                )
            _run(options._replace(sabotage=sabotage, timeout=left), one)
        except ProbeError as error:
            # Wrong tokens that were seen are worse news than whatever ended a later process.
            if not any(decode.problem for decode in findings.fresh):
                raise
            findings.notes.append(f"Process {number}: {error.sentence}")
            if not options.json:
                say(f"note     {findings.notes[-1]}")
            break
        assert one.decode is not None
        findings.fresh.append(one.decode)
    if not options.json:
        say(report.fresh_text(findings.fresh))


def _run(options: Options, findings: Findings) -> None:
    def announce(text: str) -> None:
        if not options.json:
            say(text)

    gfx = image.expected_gfx(options.gfx, os.environ)
    environment = {name: text for name, text in os.environ.items() if name not in _BLOCKING}
    for name in _BLOCKING:
        if name in os.environ:
            findings.notes.append(f"{name} is not passed on: a blocking launch waits for ever.")
            announce(f"note     {findings.notes[-1]}")
    with (
        tempfile.TemporaryDirectory(prefix="graph-probe-") as folder,
        Supervisor(Path(folder), options.timeout, environment) as supervisor,
    ):
        session = Session(supervisor, options, environment, findings, announce)
        session.run(folder, library.torch_folder(), gfx)
    if options.command == "run" and findings.capture:
        holds = findings.guarded.safe if findings.guarded else None
        facts = image.known_facts(os.environ)
        free_from = facts.capture_bug.free_from if facts.capture_bug else None
        variable = server_of(facts.server).all_reduce
        findings.judgement = judge(findings.capture.safe, variable, os.environ, holds, free_from)
        announce(report.judgement_text(findings.judgement))
