"""The tiers: the doctor, the graph probe (captures, a captured decode), the server, its race."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from image_facts.foreign import parsed

PACKAGES = Path(__file__).parent.parent
PASSED, FAILED, NOT_RUN = "passed", "failed", "not-run"
NO_GPU = "not run: no GPU"
NO_SERVER = "not run: the serve tier failed, and a race needs servers that work"
FRESH = "5"
_NO_DEVICE = 20  # graph-probe's exit code


@dataclass(frozen=True)
class Tier:
    """What one tier showed. `found` is the JSON object that its program printed, or None."""

    name: str
    status: str
    sentence: str
    seconds: float = 0.0
    exit_code: int | None = None
    found: dict[str, object] | None = None


Running = Callable[[subprocess.Popen[bytes]], None]


def run_tiers(
    serve_arguments: Sequence[str], done: Callable[[Tier], None], running: Running
) -> list[Tier]:
    """Run every tier there is something to run for, in their order.

    `done` is called after each, `running` with every program that is started.
    """
    tiers = []
    for run in (_doctor, _probe):
        tiers.append(run(running))
        done(tiers[-1])
    for run_servers in (_serve, _race):
        tiers.append(run_servers(tiers[-1], serve_arguments, running))
        done(tiers[-1])
    return tiers


def _doctor(running: Running) -> Tier:
    tier = _run("doctor", ["image_doctor", "--json"], running)
    listed = (tier.found or {}).get("checks")
    checks = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    failed = [str(check.get("name")) for check in checks if check.get("status") == "fail"]
    if tier.status == PASSED:
        return _said(tier, f"{len(checks)} checks, none failed")
    return _said(tier, f"failed: {', '.join(failed)}" if failed else tier.sentence)


def _probe(running: Running) -> Tier:
    tier = _run("probe", ["graph_probe", "run", "--json"], running)
    return _no_gpu(tier) if tier.exit_code == _NO_DEVICE else tier


def _serve(probe: Tier, arguments: Sequence[str], running: Running) -> Tier:
    found = probe.found or {}
    runtime = found.get("runtime")
    runtime = runtime if isinstance(runtime, dict) else {}
    no_gpu = runtime.get("is_stand_in", True) or runtime.get("emulator")
    if no_gpu or not found.get("devices"):
        return Tier("serve", NOT_RUN, NO_GPU)
    # Some runtimes replay graphs wrong in one process of five.
    words = ["graph_probe", "serve", "--json", "--fresh", FRESH, *arguments]
    tier = _run("serve", words, running)
    return _no_gpu(tier) if tier.exit_code == _NO_DEVICE else tier


def _race(serve: Tier, arguments: Sequence[str], running: Running) -> Tier:
    """The watchdog race in servers that are known to work without one."""
    if serve.status != PASSED:
        return Tier("race", NOT_RUN, NO_GPU if serve.status == NOT_RUN else NO_SERVER)
    own, server = _split(arguments)
    # The last one counts, and a race is of one server.
    words = ["graph_probe", "serve", "--json", "--race", *own, "--fresh", "1", *server]
    return _run("race", words, running)


def _split(arguments: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Those of graph-probe, and from `--` on those of the server."""
    at = list(arguments).index("--") if "--" in arguments else len(arguments)
    return arguments[:at], arguments[at:]


def _no_gpu(tier: Tier) -> Tier:
    return Tier(tier.name, NOT_RUN, NO_GPU, tier.seconds, tier.exit_code, tier.found)


def _said(tier: Tier, sentence: str) -> Tier:
    return Tier(tier.name, tier.status, sentence, tier.seconds, tier.exit_code, tier.found)


def _run(name: str, words: Sequence[str], running: Running) -> Tier:
    """Run `python -m WORDS`; its last sentence, or the end of its errors, is the tier's."""
    begun = time.monotonic()
    paths = [str(PACKAGES), *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    running(process)
    out, errors = process.communicate()
    seconds = round(time.monotonic() - begun, 1)
    try:
        found = parsed(out)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        lines = errors.decode(errors="replace").strip().splitlines()
        said = lines[-1] if lines else f"it ended with status {process.returncode} and no result"
        return Tier(name, FAILED, said[:300], seconds, process.returncode)
    status = PASSED if process.returncode == 0 else FAILED
    sentence = str(found.get("sentence") or f"exit code {process.returncode}")
    return Tier(name, status, sentence, seconds, process.returncode, found)
